-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.search_passages(
  query_text text,
  query_embedding extensions.vector,
  match_threshold double precision default 0.7,
  match_count integer default 5,
  filter jsonb default '{}'::jsonb,
  embedding_model text default null
) returns table (
  id uuid,
  document_id uuid,
  title text,
  content text,
  metadata jsonb,
  similarity double precision,
  score double precision
)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_query extensions.vector := private.query_vector(search_passages.query_embedding);
  v_threshold double precision := coalesce(search_passages.match_threshold, 0.7);
  v_count integer := least(coalesce(search_passages.match_count, 5), 200);
  v_filter jsonb := coalesce(nullif(search_passages.filter, 'null'), '{}');
  v_model text;
begin
  if search_passages.query_text is null then
    raise exception using errcode = '22004', message = 'query_text must not be null';
  end if;
  perform private.check_search(v_threshold, v_count, v_filter);
  v_model := private.model_to_search(search_passages.embedding_model);
  if v_model is not null then
    return query select * from private.hybrid_passages(
      search_passages.query_text, v_query, v_threshold, v_count, v_filter, v_model
    );
  end if;
end;
$$;

comment on function public.search_passages(text, extensions.vector, double precision, integer, jsonb, text) is
'Passages of the caller''s documents, best first, by reciprocal rank fusion of two lists: those that match_embeddings returns, and those with words of query_text, whatever their similarity. Arguments and errors as those of match_embeddings.';

grant execute on function public.search_passages(text, extensions.vector, double precision, integer, jsonb, text) to authenticated;
