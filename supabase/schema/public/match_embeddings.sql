-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.match_embeddings(
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
  similarity double precision
)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_query extensions.vector := private.query_vector(match_embeddings.query_embedding);
  v_threshold double precision := coalesce(match_embeddings.match_threshold, 0.7);
  v_count integer := least(coalesce(match_embeddings.match_count, 5), 200);
  v_filter jsonb := coalesce(nullif(match_embeddings.filter, 'null'), '{}');
  v_model text;
begin
  perform private.check_search(v_threshold, v_count, v_filter);
  v_model := private.model_to_search(match_embeddings.embedding_model);
  if v_model is not null then
    return query select * from private.similar_passages(v_query, v_threshold, v_count, v_filter, v_model);
  end if;
end;
$$;

comment on function public.match_embeddings(extensions.vector, double precision, integer, jsonb, text) is
'Passages of the caller''s documents whose cosine similarity to query_embedding is at least match_threshold, best first, at most match_count (200 at the most). Only vectors of embedding_model are compared, by default those of the one model that the caller''s passages have (passage_models tells); filter must be contained in the metadata. An argument that is null has its default. Errors: 22023 and 22000 for arguments that cannot find anything, naming them.';

grant execute on function public.match_embeddings(extensions.vector, double precision, integer, jsonb, text) to authenticated;
