-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.admin_revoke_key(
  p_key_id uuid
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.delete_key(p_key_id) $$;

comment on function public.admin_revoke_key(uuid) is
'Deletes a key of whatever user, for good, and returns it as public.my_keys lists it. Error: PT404 not_found. For the service.';

grant execute on function public.admin_revoke_key(uuid) to service_role;
