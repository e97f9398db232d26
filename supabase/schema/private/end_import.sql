-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.end_import(
  p_import_id uuid,
  p_error text
) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
  update private.imports as i
  set status = case when p_error is null then 'complete' else 'failed' end, error = p_error, updated_at = now()
  where i.id = p_import_id and i.status = 'running';
  return found;
end;
$$;

comment on function private.end_import(uuid, text) is
'See public.end_import.';

grant execute on function private.end_import(uuid, text) to service_role;
