-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.search_documents(
  p_text text,
  p_embedding extensions.vector,
  p_threshold double precision,
  p_count integer,
  p_filter jsonb,
  p_model text,
  p_hybrid boolean
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'passages', public.search_documents_v2(
      p_text,
      jsonb_build_array(jsonb_build_object(
        'model', p_model,
        'threshold', p_threshold,
        'embedding', case when extensions.vector_norm(p_embedding) > 0 then p_embedding::text end
      )),
      p_count, p_filter, p_hybrid
    ) -> 'answers' -> 0,
    'others', (
      select coalesce(jsonb_agg(c.embedding_model order by c.passages desc, c.embedding_model), '[]')
      from private.passage_counts as c
      where c.user_id = (select auth.uid()) and c.passages > 0 and c.embedding_model <> p_model
    )
  )
$$;

comment on function public.search_documents(text, extensions.vector, double precision, integer, jsonb, text, boolean) is
'What 0.1.0 searches with: {passages, others}. Others are the models that passages of the caller have beside p_model, under which they are to be searched as well.';

grant execute on function public.search_documents(text, extensions.vector, double precision, integer, jsonb, text, boolean) to authenticated;
