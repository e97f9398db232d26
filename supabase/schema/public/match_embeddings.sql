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
security invoker
set search_path = ''
as $$
begin
  perform private.charge_search('search', 1);
  return query select * from private.find_embeddings(
    match_embeddings.query_embedding, match_embeddings.match_threshold, match_embeddings.match_count,
    match_embeddings.filter, match_embeddings.embedding_model
  );
end;
$$;

comment on function public.match_embeddings(extensions.vector, double precision, integer, jsonb, text) is
'Passages of the caller''s documents whose cosine similarity to query_embedding is at least match_threshold, best first, at most match_count (200 at the most). Only vectors of embedding_model are compared, by default those of the one model that the caller''s passages have (passage_models tells); filter must be contained in the metadata. An argument that is null has its default. One request of kind search is charged to a signed-in caller, so that it is called by POST. Errors: 22023 and 22000 for arguments that cannot find anything, naming them; PT429 rate_limited.';

grant execute on function public.match_embeddings(extensions.vector, double precision, integer, jsonb, text) to authenticated;
