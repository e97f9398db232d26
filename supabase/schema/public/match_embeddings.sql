-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.match_embeddings(
  query_embedding extensions.vector,
  match_threshold double precision default 0.7,
  match_count integer default 5,
  filter jsonb default '{}'::jsonb,
  embedding_model text default 'text-embedding-3-small'::text
) returns table (
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
    p.id,
    p.document_id,
    d.title,
    p.content,
    p.metadata,
    1 - p.distance as similarity
  from unnest(private.nearest_passages(
    match_embeddings.query_embedding,
    greatest(0, least(match_embeddings.match_count, 200)),
    coalesce(match_embeddings.filter, '{}'),
    match_embeddings.embedding_model
  )) as n (id)
  -- "offset 0" keeps these a few look-ups by id: the planner, which cannot know how few, may read all of the owner's rows
  cross join lateral (
    select
      e.id,
      e.document_id,
      e.content,
      e.metadata,
      e.embedding operator(extensions.<=>) match_embeddings.query_embedding as distance
    from public.embeddings as e
    where e.id = n.id and e.user_id = (select auth.uid())
    offset 0
  ) as p
  cross join lateral (select t.title from public.documents as t where t.id = p.document_id offset 0) as d
  where p.distance <= 1 - match_embeddings.match_threshold
  order by p.distance, p.id
  limit greatest(0, least(match_embeddings.match_count, 200))
$$;

comment on function public.match_embeddings(extensions.vector, double precision, integer, jsonb, text) is
'Passages of the caller''s documents whose cosine similarity to query_embedding is at least match_threshold, best first, at most match_count (200 at the most). Only vectors of embedding_model are compared; filter must be contained in the metadata.';

grant execute on function public.match_embeddings(extensions.vector, double precision, integer, jsonb, text) to authenticated;
