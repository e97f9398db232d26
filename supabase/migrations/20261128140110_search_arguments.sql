-- What a search is asked with, checked: a search that cannot find anything says so, and never answers with nothing.
--
-- Before the code: it calls passage_models and search_documents_v2. The release before calls search_documents, which does
-- and answers what it did.
create function public.passage_models() returns text[]
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(array_agg(c.embedding_model order by c.passages desc, c.embedding_model), '{}')
  from private.passage_counts as c
  where
    c.user_id = (select auth.uid())
    and c.passages > 0
    -- the counts hold what is not whole yet, too: a document's first vectors, and those of the model it is moved to
    and coalesce(
      (
        select true from public.documents as d
        where d.embedding_model = c.embedding_model and d.user_id = c.user_id and d.revision is not null
        limit 1
      ),
      -- passages that somebody else than the indexer has written
      (
        select true from public.documents as d
        join public.embeddings as e on e.document_id = d.id and e.user_id = d.user_id
        where
          d.user_id = c.user_id and d.embedding_model is null and d.next_revision is null
          and e.embedding_model = c.embedding_model
        limit 1
      )
    )
$$;

comment on function public.passage_models() is
'The embedding models of the caller''s passages, as far as these are searched; that of the most passages first. Several while '
'documents are moved from one to another. Only a vector that one of them made finds anything.';

create function private.model_to_search(p_model text) returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_models text[];
begin
  if p_model is not null and exists (
    select from private.passage_counts as c
    where c.user_id = auth.uid() and c.embedding_model = p_model and c.passages > 0
  ) then
    return p_model;
  end if;
  v_models := public.passage_models();
  if p_model is not null and v_models <> '{}' then
    raise exception using errcode = '22023',
      message = format('none of your passages has the embedding model %s; they have %s', p_model, array_to_string(v_models, ', '));
  end if;
  if cardinality(v_models) > 1 then
    raise exception using errcode = '22023',
      message = format('your passages have several embedding models: %s', array_to_string(v_models, ', ')),
      hint = 'Search once for each, with embedding_model and a vector that it made.';
  end if;
  return v_models[1];
end;
$$;

comment on function private.model_to_search(text) is
'p_model, or where that is null the one model of the caller''s passages; null when the caller has none. '
'Error 22023, naming the models, when they have several, or p_model is none of them.';

create function private.query_vector(p_embedding extensions.vector) returns extensions.vector
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  -- of public.embeddings.embedding; the type of an argument does not hold callers to it
  c_dimensions constant integer := 1536;
begin
  if p_embedding is null then
    raise exception using errcode = '22004', message = 'query_embedding must not be null';
  end if;
  if extensions.vector_dims(p_embedding) <> c_dimensions then
    raise exception using
      -- that of pgvector's own refusal
      errcode = '22000',
      message = format(
        'query_embedding has %s dimensions, passages have %s', extensions.vector_dims(p_embedding), c_dimensions
      ),
      hint = 'Vectors of models with fewer are stored with zeros at their end: add these to the query too.';
  end if;
  if extensions.vector_norm(p_embedding) = 0 then
    raise exception using errcode = '22023', message = 'query_embedding has no direction: all its numbers are 0';
  end if;
  -- the cosine does not know lengths, but the squares of very large or small numbers leave the range of its type
  return extensions.l2_normalize(p_embedding);
end;
$$;

comment on function private.query_vector(extensions.vector) is
'The vector at length 1. Errors: 22004, 22000 for another width, 22023 without a direction.';

create function private.check_search(p_threshold double precision, p_count integer, p_filter jsonb) returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  -- NaN is larger than any number
  if p_threshold < -1 or p_threshold > 1 then
    raise exception using errcode = '22023',
      message = format('match_threshold must be from -1 to 1, not %s', p_threshold);
  end if;
  if p_count < 1 then
    raise exception using errcode = '22023',
      message = format('match_count must be at least 1, not %s', p_count);
  end if;
  if jsonb_typeof(p_filter) <> 'object' then
    raise exception using errcode = '22023',
      message = format('filter must be a JSON object, not: %s', jsonb_typeof(p_filter));
  end if;
end;
$$;

comment on function private.check_search(double precision, integer, jsonb) is
'Error 22023, naming the argument, for one that is out of range.';

create function private.similar_passages(
  p_query extensions.vector, p_threshold double precision, p_count integer, p_filter jsonb, p_model text
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

create or replace function public.match_embeddings(
  query_embedding extensions.vector(1536),
  match_threshold double precision default 0.7,
  match_count integer default 5,
  filter jsonb default '{}',
  embedding_model text default null
)
returns table (
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
'Passages of the caller''s documents whose cosine similarity to query_embedding is at least match_threshold, best first, '
'at most match_count (200 at the most). Only vectors of embedding_model are compared, by default those of the one model that '
'the caller''s passages have (passage_models tells); filter must be contained in the metadata. An argument that is null '
'has its default. Errors: 22023 and 22000 for arguments that cannot find anything, naming them.';

create function private.hybrid_passages(
  p_text text,
  p_query extensions.vector,
  p_threshold double precision,
  p_count integer,
  p_filter jsonb,
  p_model text
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
'See public.search_passages. Takes what private.query_vector and private.check_search let pass. Without p_query, what has '
'the words, with similarity 0.';

create or replace function public.search_passages(
  query_text text,
  query_embedding extensions.vector(1536),
  match_threshold double precision default 0.7,
  match_count integer default 5,
  filter jsonb default '{}',
  embedding_model text default null
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
'Passages of the caller''s documents, best first, by reciprocal rank fusion of two lists: those that match_embeddings returns, '
'and those with words of query_text, whatever their similarity. Arguments and errors as those of match_embeddings.';

create function public.search_documents_v2(
  p_text text,
  p_questions jsonb,
  p_count integer,
  p_filter jsonb,
  p_hybrid boolean
) returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  -- an API embeds with so many models at most
  c_questions constant integer := 16;

  v_filter jsonb := coalesce(p_filter, '{}');
  v_count integer := least(coalesce(p_count, 5), 200);
  v_question record;
  v_query extensions.vector;
  v_passages jsonb;
  v_answers jsonb := '[]';
begin
  if jsonb_typeof(p_questions) is distinct from 'array' or jsonb_array_length(p_questions) > c_questions then
    raise exception using errcode = '22023', message = format('p_questions must be an array of at most %s', c_questions);
  end if;
  for v_question in
    select q.model, q.embedding, q.threshold
    from jsonb_to_recordset(p_questions) as q (model text, embedding text, threshold double precision)
  loop
    if v_question.model is null or v_question.threshold is null then
      raise exception using errcode = '22004', message = 'every one of p_questions needs a model and a threshold';
    end if;
    perform private.check_search(v_question.threshold, v_count, v_filter);
    v_query := null;
    if v_question.embedding is not null then
      v_query := private.query_vector(v_question.embedding::extensions.vector);
    end if;
    v_passages := null;
    if p_hybrid then
      select jsonb_agg(to_jsonb(s) order by s.score desc, s.id) into v_passages
      from private.hybrid_passages(
        p_text, v_query, v_question.threshold, v_count, v_filter, v_question.model
      ) as s;
    elsif v_query is not null then
      select jsonb_agg(to_jsonb(m) order by m.similarity desc, m.id) into v_passages
      from private.similar_passages(v_query, v_question.threshold, v_count, v_filter, v_question.model) as m;
    end if;
    v_answers := v_answers || jsonb_build_array(coalesce(v_passages, '[]'));
  end loop;
  return jsonb_build_object('models', to_jsonb(public.passage_models()), 'answers', v_answers);
end;
$$;

comment on function public.search_documents_v2(text, jsonb, integer, jsonb, boolean) is
'What the API searches with: the same question by several models, [{model, embedding, threshold}], in one view of the data, so '
'that no document is missed that is just moved between them. A question whose embedding is null, of a text without words to the '
'model, finds words only. Returns {models: those that the passages have, answers: the passages that each question finds, none '
'where no passage has its model}. Errors as those of match_embeddings.';

create or replace function public.search_documents(
  p_text text,
  p_embedding extensions.vector(1536),
  p_threshold double precision,
  p_count integer,
  p_filter jsonb,
  p_model text,
  p_hybrid boolean
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'passages', public.search_documents_v2(
      p_text,
      jsonb_build_array(jsonb_build_object(
        'model', p_model,
        'threshold', p_threshold,
        'embedding', case when extensions.vector_norm(p_embedding) > 0 then p_embedding::text end
      )),
      p_count, p_filter, p_hybrid
    ) -> 'answers' -> 0,
    'others', (
      select coalesce(jsonb_agg(c.embedding_model order by c.passages desc, c.embedding_model), '[]')
      from private.passage_counts as c
      where c.user_id = (select auth.uid()) and c.passages > 0 and c.embedding_model <> p_model
    )
  )
$$;

comment on function public.search_documents(
  text, extensions.vector, double precision, integer, jsonb, text, boolean
) is
'What 0.1.0 searches with: {passages, others}. Others are the models that passages of the caller have beside p_model, under '
'which they are to be searched as well.';

revoke all on function public.passage_models() from public, anon, service_role;
revoke all on function private.model_to_search(text) from public, anon, service_role;
revoke all on function private.query_vector(extensions.vector) from public, anon, service_role;
revoke all on function private.check_search(double precision, integer, jsonb) from public, anon, service_role;
revoke all on function private.similar_passages(extensions.vector, double precision, integer, jsonb, text)
from public, anon, service_role;
revoke all on function private.hybrid_passages(text, extensions.vector, double precision, integer, jsonb, text)
from public, anon, service_role;
revoke all on function public.search_documents_v2(text, jsonb, integer, jsonb, boolean) from public, anon, service_role;
grant execute on function public.passage_models() to authenticated;
grant execute on function private.model_to_search(text) to authenticated;
grant execute on function private.query_vector(extensions.vector) to authenticated;
grant execute on function private.check_search(double precision, integer, jsonb) to authenticated;
grant execute on function private.similar_passages(extensions.vector, double precision, integer, jsonb, text) to authenticated;
grant execute on function private.hybrid_passages(text, extensions.vector, double precision, integer, jsonb, text)
to authenticated;
grant execute on function public.search_documents_v2(text, jsonb, integer, jsonb, boolean) to authenticated;
