-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.similar_passages(
  p_query extensions.vector,
  p_threshold double precision,
  p_count integer,
  p_filter jsonb,
  p_model text
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
  from unnest(private.nearest_passages(p_query, p_count, p_filter, p_model)) as n (id)
  -- "offset 0" keeps these a few look-ups by id: the planner, which cannot know how few, may read all of the owner's rows
  cross join lateral (
    select
      e.id,
      e.document_id,
      e.content,
      e.metadata,
      e.embedding operator(extensions.<=>) p_query as distance
    from public.embeddings as e
    where e.id = n.id and e.user_id = (select auth.uid())
    offset 0
  ) as p
  cross join lateral (select t.title from public.documents as t where t.id = p.document_id offset 0) as d
  where p.distance <= 1 - p_threshold
  order by p.distance, p.id
  limit p_count
$$;

comment on function private.similar_passages(extensions.vector, double precision, integer, jsonb, text) is
'See public.match_embeddings. Takes what private.query_vector and private.check_search let pass.';

grant execute on function private.similar_passages(extensions.vector, double precision, integer, jsonb, text) to authenticated;
