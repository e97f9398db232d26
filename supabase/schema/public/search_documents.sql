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
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_passages jsonb;
  v_others jsonb;
begin
  select jsonb_agg(c.embedding_model order by c.passages desc, c.embedding_model) into v_others
  from private.passage_counts as c
  where c.user_id = (select auth.uid()) and c.passages > 0 and c.embedding_model <> p_model;
  if p_hybrid then
    select jsonb_agg(to_jsonb(s) order by s.score desc, s.id) into v_passages
    from public.search_passages(p_text, p_embedding, p_threshold, p_count, p_filter, p_model) as s;
  else
    select jsonb_agg(to_jsonb(m) order by m.similarity desc, m.id) into v_passages
    from public.match_embeddings(p_embedding, p_threshold, p_count, p_filter, p_model) as m;
  end if;
  return jsonb_build_object('passages', coalesce(v_passages, '[]'), 'others', coalesce(v_others, '[]'));
end;
$$;

comment on function public.search_documents(text, extensions.vector, double precision, integer, jsonb, text, boolean) is
'What the API searches with: {passages, others}. Passages by search_passages or match_embeddings; others are the models that passages of the caller have beside p_model, under which they are to be searched as well.';

grant execute on function public.search_documents(text, extensions.vector, double precision, integer, jsonb, text, boolean) to authenticated;
