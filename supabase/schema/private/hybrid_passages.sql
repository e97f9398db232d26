-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.hybrid_passages(
  p_text text,
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
  similarity double precision,
  score double precision
)
language sql
stable
security invoker
set search_path = ''
as $$
  with near as (
    select m.id, row_number() over (order by m.similarity desc, m.id) as rank
    from private.similar_passages(p_query, p_threshold, least(2 * p_count, 200), p_filter, p_model) as m
    where p_query is not null
  ), worded as (
    select t.id, t.rank
    from unnest(private.passages_with_words(p_text, 2 * p_count, p_filter, p_model)) with ordinality as t (id, rank)
  ), fused as (
    -- reciprocal rank fusion, with the constant of the paper that introduced it
    -- https://plg.uwaterloo.ca/~gvcormac/cormacksigir09-rrf.pdf
    select f.id, sum(1.0 / (60 + f.rank))::double precision as score
    from (
      select s.id, s.rank from near as s
      union all
      select t.id, t.rank from worded as t
    ) as f
    group by f.id
    order by score desc, f.id
    limit p_count
  )
  select
    p.id,
    p.document_id,
    d.title,
    p.content,
    p.metadata,
    p.similarity,
    f.score
  from fused as f
  cross join lateral (
    select
      e.id,
      e.document_id,
      e.content,
      e.metadata,
      coalesce(1 - (e.embedding operator(extensions.<=>) p_query), 0) as similarity
    from public.embeddings as e
    where e.id = f.id and e.user_id = (select auth.uid())
    offset 0
  ) as p
  cross join lateral (select t.title from public.documents as t where t.id = p.document_id offset 0) as d
  order by f.score desc, p.id
$$;

comment on function private.hybrid_passages(text, extensions.vector, double precision, integer, jsonb, text) is
'See public.search_passages. Takes what private.query_vector and private.check_search let pass. Without p_query, what has the words, with similarity 0.';

grant execute on function private.hybrid_passages(text, extensions.vector, double precision, integer, jsonb, text) to authenticated;
