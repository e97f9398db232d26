-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.admin_keys(
  p_email text
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$ select private.list_keys(private.user_by_email(p_email)) $$;

comment on function public.admin_keys(text) is
'The keys of the user with this e-mail address, as public.my_keys lists them. Error: PT404 not_found. For the service.';

grant execute on function public.admin_keys(text) to service_role;
