-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.search_passages(
  query_text text,
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
  similarity double precision,
  score double precision
)
language sql
stable
security invoker
set search_path = ''
as $$
  with wanted as (
    select greatest(0, least(search_passages.match_count, 200)) as count
  ), near as (
    select m.id, row_number() over (order by m.similarity desc, m.id) as rank
    from wanted as w
    cross join public.match_embeddings(
      search_passages.query_embedding, search_passages.match_threshold, least(2 * w.count, 200),
      search_passages.filter, search_passages.embedding_model
    ) as m
  ), worded as (
    select t.id, t.rank
    from wanted as w
    cross join unnest(private.passages_with_words(
      search_passages.query_text, 2 * w.count, coalesce(search_passages.filter, '{}'), search_passages.embedding_model
    )) with ordinality as t (id, rank)
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
    limit (select w.count from wanted as w)
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
      1 - (e.embedding operator(extensions.<=>) search_passages.query_embedding) as similarity
    from public.embeddings as e
    where e.id = f.id and e.user_id = (select auth.uid())
    offset 0
  ) as p
  cross join lateral (select t.title from public.documents as t where t.id = p.document_id offset 0) as d
  order by f.score desc, p.id
$$;

comment on function public.search_passages(text, extensions.vector, double precision, integer, jsonb, text) is
'Passages of the caller''s documents, best first, by reciprocal rank fusion of two lists: those that match_embeddings returns, and those with words of query_text, whatever their similarity. Arguments as those of match_embeddings.';

grant execute on function public.search_passages(text, extensions.vector, double precision, integer, jsonb, text) to authenticated;
