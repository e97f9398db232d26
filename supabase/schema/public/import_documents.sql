-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.import_documents(
  p_import_id uuid,
  p_documents jsonb
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.import_documents(p_import_id, p_documents) $$;

comment on function public.import_documents(uuid, jsonb) is
'Adds what is known of documents, without their text, to the user who began the import. Returns how many are new. For the service.';

grant execute on function public.import_documents(uuid, jsonb) to service_role;
