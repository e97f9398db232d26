-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.end_import(
  p_import_id uuid,
  p_error text default null
) returns boolean
language sql
security invoker
set search_path = ''
as $$ select private.end_import(p_import_id, p_error) $$;

comment on function public.end_import(uuid, text) is
'Ends an import, as failed where p_error says why. For the service.';

grant execute on function public.end_import(uuid, text) to service_role;
