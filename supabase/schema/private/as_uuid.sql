-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.as_uuid(
  p_text text
) returns uuid
language sql
immutable
security invoker
set search_path = ''
as $$
  select case
    when p_text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then p_text::uuid
  end
$$;

comment on function private.as_uuid(text) is
'The UUID that a text is; null for any other text.';
