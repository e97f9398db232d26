-- Similar passages of the caller's own documents, for any SQL or PostgREST client.
--
-- Nearest neighbours under a filter have no single good plan. Ranking all passages of the owner is exact and costs
-- about 2 µs a passage, whatever else the table holds. The HNSW index costs about the same for any size of owner, but
-- walks everybody's passages until it has met enough of the caller's: quick for an owner of a large part of the
-- table, hopeless for a small one. So the plan follows the owner's size; docs/decisions/0007-retrieval-plan.md.

create function private.prefers_index(p_user_id uuid, p_model text, p_count integer) returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  -- recall is exact up to here
  c_exact constant integer := 2000;
  -- what the walk costs for each passage it has to return, against what ranking one costs, as measured
  c_walk constant double precision := 4;

  v_passages double precision;
  v_total double precision;
begin
  select c.passages into v_passages
  from private.passage_counts as c
  where c.user_id = p_user_id and c.embedding_model = p_model;
  if coalesce(v_passages, 0) <= c_exact then
    return false;
  end if;
  select greatest(t.reltuples, v_passages) into v_total
  from pg_catalog.pg_class as t
  where t.oid = 'public.embeddings'::regclass;
  -- the walk meets one of the owner's passages in v_total / v_passages
  return v_passages > c_walk * p_count * v_total / v_passages;
end;
$$;

comment on function private.prefers_index(uuid, text, integer) is
'Whether the p_count nearest passages of this owner are found faster by the HNSW index than by ranking all of them.';

create function private.nearest_by_index(
  p_user_id uuid,
  p_query extensions.vector,
  p_count integer,
  p_filter jsonb,
  p_model text,
  p_hidden bigint[]
) returns uuid[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  select array_agg(n.id) into v_ids
  from (
    select e.id
    from public.embeddings as e
    where
      e.user_id = p_user_id
      and e.embedding_model = p_model
      and e.revision <> all(p_hidden)
      and (p_filter = '{}' or e.metadata @> p_filter)
    order by e.embedding::extensions.halfvec(1536) operator(extensions.<=>) p_query::extensions.halfvec(1536)
    -- more than asked for, since half precision may swap neighbours
    limit p_count + p_count / 2 + 5
  ) as n;
  return v_ids;
end;
$$;

comment on function private.nearest_by_index(uuid, extensions.vector, integer, jsonb, text, bigint[]) is
'About half as many again as p_count of the owner''s nearest passages, by the HNSW index. Fewer when its scan reached its limit.';

-- As text, since the SQL formatter does not know settings of extensions, which can be named only once their library
-- is loaded in the session.
do $$
declare
  v_setting text;
begin
  perform '[1]'::extensions.vector;
  foreach v_setting in array array[
    -- go on until there are enough of the caller's, nearest first, but not for ever
    'hnsw.iterative_scan = ''strict_order''',
    -- with half of that, recall among 10,000 passages about the same few topics was 0.97 instead of 0.996
    'hnsw.ef_search = 200',
    'hnsw.max_scan_tuples = 20000',
    'hnsw.scan_mem_multiplier = 4',
    -- leaves the index as the only plan
    'enable_sort = off'
  ]
  loop
    execute 'alter function private.nearest_by_index set ' || v_setting;
  end loop;
end
$$;

create function private.nearest_by_rank(
  p_user_id uuid,
  p_query extensions.vector,
  p_count integer,
  p_filter jsonb,
  p_model text,
  p_hidden bigint[]
) returns uuid[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  select array_agg(n.id) into v_ids
  from (
    select e.id
    from public.embeddings as e
    where
      e.user_id = p_user_id
      and e.embedding_model = p_model
      and e.revision <> all(p_hidden)
      and (p_filter = '{}' or e.metadata @> p_filter)
    -- not the expression of the HNSW index, which therefore cannot be used here
    order by e.embedding operator(extensions.<=>) p_query, e.id
    limit p_count
  ) as n;
  return v_ids;
end;
$$;

comment on function private.nearest_by_rank(uuid, extensions.vector, integer, jsonb, text, bigint[]) is
'The p_count nearest of the owner''s passages, by ranking all of them.';

create function private.unfinished_revisions(p_user_id uuid) returns bigint[]
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(array_agg(d.next_revision), '{}')
  from public.documents as d
  -- a document that still waits has no passages to hide
  where d.user_id = p_user_id and d.next_revision is not null and d.status <> 'pending'
$$;

comment on function private.unfinished_revisions(uuid) is
'Revisions of the owner''s documents that are not whole yet: a search returns none of their passages.';

create function private.nearest_passages(
  p_query extensions.vector, p_count integer, p_filter jsonb, p_model text
) returns uuid[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_user_id uuid := auth.uid();
  v_hidden bigint[] := private.unfinished_revisions(v_user_id);
  v_ids uuid[];
begin
  if private.prefers_index(v_user_id, p_model, p_count) then
    v_ids := private.nearest_by_index(v_user_id, p_query, p_count, p_filter, p_model, v_hidden);
    if cardinality(v_ids) >= p_count then
      return v_ids;
    end if;
  end if;
  return private.nearest_by_rank(v_user_id, p_query, p_count, p_filter, p_model, v_hidden);
end;
$$;

comment on function private.nearest_passages(extensions.vector, integer, jsonb, text) is
'At least the p_count nearest of the caller''s passages, by whichever plan is faster; never fewer than there are.';

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
'Passages of the caller''s documents whose cosine similarity to query_embedding is at least match_threshold, best first, '
'at most match_count (200 at the most). Only vectors of embedding_model are compared; filter must be contained in the metadata.';

revoke all on function private.prefers_index(uuid, text, integer) from public, anon, service_role;
revoke all on function private.nearest_by_index(uuid, extensions.vector, integer, jsonb, text, bigint[])
from public, anon, service_role;
revoke all on function private.nearest_by_rank(uuid, extensions.vector, integer, jsonb, text, bigint[])
from public, anon, service_role;
revoke all on function private.unfinished_revisions(uuid) from public, anon, service_role;
revoke all on function private.nearest_passages(extensions.vector, integer, jsonb, text) from public, anon, service_role;
revoke all on function public.match_embeddings(extensions.vector, double precision, integer, jsonb, text)
from public, anon, authenticated, service_role;
grant execute on function private.prefers_index(uuid, text, integer) to authenticated;
grant execute on function private.nearest_by_index(uuid, extensions.vector, integer, jsonb, text, bigint[])
to authenticated;
grant execute on function private.nearest_by_rank(uuid, extensions.vector, integer, jsonb, text, bigint[])
to authenticated;
grant execute on function private.unfinished_revisions(uuid) to authenticated;
grant execute on function private.nearest_passages(extensions.vector, integer, jsonb, text) to authenticated;
grant execute on function public.match_embeddings(extensions.vector, double precision, integer, jsonb, text)
to authenticated;
