-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.revoke_key(
  p_key_id uuid
) returns boolean
language sql
security invoker
set search_path = ''
as $$ select private.revoke_key(p_key_id) $$;

comment on function public.revoke_key(uuid) is
'Deletes a key of the caller, for good. Returns true. Error: PT404 not_found.';

grant execute on function public.revoke_key(uuid) to authenticated;
