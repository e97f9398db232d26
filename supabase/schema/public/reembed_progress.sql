-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.reembed_progress(
  p_model text
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'documents', count(*),
    'passages', coalesce(sum(d.passages), 0),
    'documents_left', count(*) filter (where d.embedding_model <> p_model),
    'passages_left', coalesce(sum(d.passages) filter (where d.embedding_model <> p_model), 0)
  )
  from public.documents as d
  where d.revision is not null
$$;

comment on function public.reembed_progress(text) is
'{documents, passages, documents_left, passages_left}: how much is indexed, and how much of it not under p_model. For the service.';

grant execute on function public.reembed_progress(text) to service_role;
