-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.read_import(
  p_import_id uuid
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$ select private.read_import(p_import_id) $$;

comment on function public.read_import(uuid) is
'How far an import of the caller is. One that nothing was heard of for 60 seconds has failed. Null when there is no such import.';

grant execute on function public.read_import(uuid) to authenticated;
