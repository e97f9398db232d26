-- Similar passages of the caller's own documents, for any SQL or PostgREST client.
create function public.match_embeddings(
  query_embedding extensions.vector(1536),
  match_threshold double precision default 0.7,
  match_count integer default 5,
  filter jsonb default '{}',
  embedding_model text default 'text-embedding-3-small'
)
returns table (
  id uuid,
  document_id uuid,
  title text,
  content text,
  metadata jsonb,
  similarity double precision
)
language sql
stable
security invoker
set search_path = ''
as $$
  select
    ranked.id,
    ranked.document_id,
    d.title,
    ranked.content,
    ranked.metadata,
    1 - ranked.distance as similarity
  from (
    select
      e.id,
      e.document_id,
      e.content,
      e.metadata,
      e.embedding operator(extensions.<=>) match_embeddings.query_embedding as distance
    from public.embeddings as e
    where
      e.user_id = (select auth.uid())
      and e.embedding_model = match_embeddings.embedding_model
      and e.metadata @> coalesce(match_embeddings.filter, '{}')
  ) as ranked
  join public.documents as d on d.id = ranked.document_id
  where ranked.distance <= 1 - match_embeddings.match_threshold
  order by ranked.distance, ranked.id
  limit greatest(0, least(match_embeddings.match_count, 200))
$$;

comment on function public.match_embeddings(extensions.vector, double precision, integer, jsonb, text) is
'Passages of the caller''s documents whose cosine similarity to query_embedding is at least match_threshold, best first, '
'at most match_count (200 at the most). Only vectors of embedding_model are compared; filter must be contained in the metadata.';

revoke all on function public.match_embeddings(extensions.vector, double precision, integer, jsonb, text)
from public, anon, authenticated, service_role;
grant execute on function public.match_embeddings(extensions.vector, double precision, integer, jsonb, text)
to authenticated;
