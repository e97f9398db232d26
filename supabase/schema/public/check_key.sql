-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.check_key(
  p_hash text
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.check_key(p_hash) $$;

comment on function public.check_key(text) is
'Whose key has this hash (SHA-256 in hexadecimal): {key_id, user_id, expires_at: seconds since 1970, or null}, and its last use is noted, to the minute. Null for a key that does not exist, has expired or was revoked, and for one of a user who is banned or deleted. For the service.';

grant execute on function public.check_key(text) to service_role;
