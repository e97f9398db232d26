-- Hybrid search: the passages nearest in meaning and those with the words, in one list.
create function private.passages_with_words(p_query text, p_count integer, p_filter jsonb, p_model text) returns uuid[]
language plpgsql
stable
-- definer: under row level security no index of a text search may be used, since its operator is not leakproof
security definer
set search_path = ''
as $$
declare
  -- ranked at most, however common the words are
  c_ranked constant integer := 2000;

  v_user_id uuid := auth.uid();
  -- any of the words: a question hardly ever has all its words in the passage that answers it
  v_words tsquery := replace(plainto_tsquery('english', left(p_query, 2000))::text, ' & ', ' | ')::tsquery;
  v_hidden bigint[] := private.unfinished_revisions(v_user_id);
  v_ids uuid[];
begin
  select array_agg(r.id order by r.rank desc, r.id) into v_ids
  from (
    select f.id, ts_rank_cd(f.fts, v_words, 1) as rank
    from (
      select e.id, e.fts
      from public.embeddings as e
      where
        e.user_id = v_user_id
        and e.fts @@ v_words
        and e.embedding_model = p_model
        and e.revision <> all(v_hidden)
        and (p_filter = '{}' or e.metadata @> p_filter)
      limit c_ranked
    ) as f
    order by rank desc, f.id
    limit p_count
  ) as r;
  return v_ids;
end;
$$;

comment on function private.passages_with_words(text, integer, jsonb, text) is
'The p_count passages of auth.uid() that have most of the words, best first.';

create function public.search_passages(
  query_text text,
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
'Passages of the caller''s documents, best first, by reciprocal rank fusion of two lists: those that match_embeddings returns, '
'and those with words of query_text, whatever their similarity. Arguments as those of match_embeddings.';

create function public.search_documents(
  p_text text,
  p_embedding extensions.vector(1536),
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

comment on function public.search_documents(
  text, extensions.vector, double precision, integer, jsonb, text, boolean
) is
'What the API searches with: {passages, others}. Passages by search_passages or match_embeddings; others are the models that '
'passages of the caller have beside p_model, under which they are to be searched as well.';

revoke all on function private.passages_with_words(text, integer, jsonb, text) from public, anon, service_role;
revoke all on function public.search_passages(text, extensions.vector, double precision, integer, jsonb, text)
from public, anon, service_role;
revoke all on function public.search_documents(text, extensions.vector, double precision, integer, jsonb, text, boolean)
from public, anon, service_role;
grant execute on function private.passages_with_words(text, integer, jsonb, text) to authenticated;
grant execute on function public.search_passages(text, extensions.vector, double precision, integer, jsonb, text)
to authenticated;
grant execute on function public.search_documents(text, extensions.vector, double precision, integer, jsonb, text, boolean)
to authenticated;
