-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.configure_documents(
  p_max_bytes integer,
  p_max_passages integer
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  update private.settings as s
  set document_max_bytes = p_max_bytes, document_max_passages = p_max_passages
  where s.singleton
  returning jsonb_build_object(
    'document_max_bytes', s.document_max_bytes, 'document_max_passages', s.document_max_passages
  )
$$;

comment on function public.configure_documents(integer, integer) is
'Sets how large one document may be. Called by the API at its start with its environment; the last one to start is obeyed. For the service.';

grant execute on function public.configure_documents(integer, integer) to service_role;
