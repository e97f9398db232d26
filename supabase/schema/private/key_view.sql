-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.key_view(
  p_key private.personal_keys
) returns jsonb
language sql
immutable
security invoker
set search_path = ''
as $$ select to_jsonb(p_key) - 'hash' - 'user_id' $$;

comment on function private.key_view(private.personal_keys) is
'A key as its owner sees it: {id, name, hint, scope, created_at, expires_at, last_used_at}.';
