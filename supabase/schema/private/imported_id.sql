-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.imported_id(
  p_user_id uuid,
  p_source text[]
) returns uuid
language sql
stable
security invoker
set search_path = ''
as $$
  select encode(
    substr(sha256(convert_to(s.secret::text || p_user_id::text || to_jsonb(p_source)::text, 'UTF8')), 1, 16), 'hex'
  )::uuid
  from private.import_secret as s
  where array_position(p_source, null) is null
$$;

comment on function private.imported_id(uuid, text[]) is
'The id of what a user imports, by what it is and where it comes from; null where a part of that is.';
