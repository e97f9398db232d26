-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.admin_create_key(
  p_email text,
  p_name text,
  p_hash text,
  p_hint text,
  p_expires_at timestamp with time zone default null
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.add_key(private.user_by_email(p_email), p_name, p_hash, p_hint, p_expires_at) $$;

comment on function public.admin_create_key(text, text, text, text, timestamp with time zone) is
'Adds a key of the user with this e-mail address, as public.create_key does. Error also: PT404 not_found. For the service.';

grant execute on function public.admin_create_key(text, text, text, text, timestamp with time zone) to service_role;
