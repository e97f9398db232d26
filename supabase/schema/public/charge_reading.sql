-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.charge_reading(
  p_user_id uuid,
  p_seconds integer
) returns boolean
language sql
security invoker
set search_path = ''
as $$ select private.charge_reading(p_user_id, p_seconds) $$;

comment on function public.charge_reading(uuid, integer) is
'Charges a user a request of kind document for each second that reading a file of theirs took, whatever is left of the minute; false for a user who is gone. For the service.';

grant execute on function public.charge_reading(uuid, integer) to service_role;
