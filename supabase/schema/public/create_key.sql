-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.create_key(
  p_name text,
  p_hash text,
  p_hint text,
  p_expires_at timestamp with time zone default null
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.create_key(p_name, p_hash, p_hint, p_expires_at) $$;

comment on function public.create_key(text, text, text, timestamp with time zone) is
'Adds a key of the caller, who has it already: p_hash is SHA-256 of it in hexadecimal, p_hint its first 11 characters. Returns {id, name, hint, scope, created_at, expires_at, last_used_at}. Errors: PT422 invalid_request (an end that is past or more than 366 days ahead, a name), PT403 limit_reached (20 keys).';

grant execute on function public.create_key(text, text, text, timestamp with time zone) to authenticated;
