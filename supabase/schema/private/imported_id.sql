-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.imported_id(
  p_user_id uuid,
  p_source text
) returns uuid
language sql
immutable
security invoker
set search_path = ''
as $$
  select encode(substr(sha256(convert_to(p_user_id::text || ' ' || p_source, 'UTF8')), 1, 16), 'hex')::uuid
$$;

comment on function private.imported_id(uuid, text) is
'The id of what a user imports, by where it comes from.';
