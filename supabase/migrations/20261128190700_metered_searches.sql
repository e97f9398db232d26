-- Before the code: searches by RPC are limited too. Replicas of the release before search as they did.
alter table private.meters drop constraint meters_kind_check;
alter table private.meters add constraint meters_kind_check
check (kind in ('turn', 'search', 'document', 'moderation', 'lookup')) not valid;

comment on table private.meters is
'Requests a user has spent, by kind; each kind is limited by itself. lookup: the searches of servers, see '
'private.charge_search.';

create function private.charge_search(p_kind text, p_searches integer) returns void
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  c_window constant interval := interval '60 seconds';
  v_user_id constant uuid := auth.uid();
  v_limit integer;
  v_step interval;
begin
  -- the owner of the database, and the service
  if v_user_id is null then
    return;
  end if;
  v_limit := least(2147483647, (private.limits_of(v_user_id)).requests_per_minute::bigint * p_searches);
  v_step := private.request_step(v_limit);
  insert into private.meters as m (user_id, kind, full_at)
  values (v_user_id, p_kind, clock_timestamp() + v_step)
  on conflict (user_id, kind) do update
  set full_at = greatest(m.full_at, clock_timestamp()) + v_step
  where greatest(m.full_at, clock_timestamp()) + v_step <= clock_timestamp() + c_window;
  if not found then
    perform private.refuse(
      'requests', v_limit,
      (select m.full_at from private.meters as m where m.user_id = v_user_id and m.kind = p_kind)
      + v_step - c_window - clock_timestamp()
    );
  end if;
end;
$$;

comment on function private.charge_search(text, integer) is
'Charges the caller one search: of kind search, as POST /v1/search does, or of kind lookup, of which there are p_searches '
'for each request a minute: a turn and a search of the API look up several times at most, and were charged before. Raises '
'rate_limited.';

-- What searches is as it was, and sees one state of the data; what is called charges first.
create function private.find_embeddings(
  query_embedding extensions.vector,
  match_threshold double precision,
  match_count integer,
  filter jsonb,
  embedding_model text
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
  v_query extensions.vector := private.query_vector(find_embeddings.query_embedding);
  v_threshold double precision := coalesce(find_embeddings.match_threshold, 0.7);
  v_count integer := least(coalesce(find_embeddings.match_count, 5), 200);
  v_filter jsonb := coalesce(nullif(find_embeddings.filter, 'null'), '{}');
  v_model text;
begin
  perform private.check_search(v_threshold, v_count, v_filter);
  v_model := private.model_to_search(find_embeddings.embedding_model);
  if v_model is not null then
    return query select * from private.similar_passages(v_query, v_threshold, v_count, v_filter, v_model);
  end if;
end;
$$;

create function private.find_passages(
  query_text text,
  query_embedding extensions.vector,
  match_threshold double precision,
  match_count integer,
  filter jsonb,
  embedding_model text
) returns table (
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
  v_query extensions.vector := private.query_vector(find_passages.query_embedding);
  v_threshold double precision := coalesce(find_passages.match_threshold, 0.7);
  v_count integer := least(coalesce(find_passages.match_count, 5), 200);
  v_filter jsonb := coalesce(nullif(find_passages.filter, 'null'), '{}');
  v_model text;
begin
  if find_passages.query_text is null then
    raise exception using errcode = '22004', message = 'query_text must not be null';
  end if;
  perform private.check_search(v_threshold, v_count, v_filter);
  v_model := private.model_to_search(find_passages.embedding_model);
  if v_model is not null then
    return query select * from private.hybrid_passages(
      find_passages.query_text, v_query, v_threshold, v_count, v_filter, v_model
    );
  end if;
end;
$$;

create function private.find_answers(
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

create or replace function public.match_embeddings(
  query_embedding extensions.vector,
  match_threshold double precision default 0.7,
  match_count integer default 5,
  filter jsonb default '{}',
  embedding_model text default null
) returns table (id uuid, document_id uuid, title text, content text, metadata jsonb, similarity double precision)
language plpgsql
volatile
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
'Passages of the caller''s documents whose cosine similarity to query_embedding is at least match_threshold, best first, '
'at most match_count (200 at the most). Only vectors of embedding_model are compared, by default those of the one model '
'that the caller''s passages have (passage_models tells); filter must be contained in the metadata. An argument that is '
'null has its default. One request of kind search is charged to a signed-in caller, so that it is called by POST. Errors: '
'22023 and 22000 for arguments that cannot find anything, naming them; PT429 rate_limited.';

create or replace function public.search_passages(
  query_text text,
  query_embedding extensions.vector,
  match_threshold double precision default 0.7,
  match_count integer default 5,
  filter jsonb default '{}',
  embedding_model text default null
) returns table (
  id uuid, document_id uuid, title text, content text, metadata jsonb, similarity double precision,
  score double precision
)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform private.charge_search('search', 1);
  return query select * from private.find_passages(
    search_passages.query_text, search_passages.query_embedding, search_passages.match_threshold,
    search_passages.match_count, search_passages.filter, search_passages.embedding_model
  );
end;
$$;

create or replace function public.search_documents_v2(
  p_text text, p_questions jsonb, p_count integer, p_filter jsonb, p_hybrid boolean
) returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform private.charge_search('lookup', 6);
  return private.find_answers(p_text, p_questions, p_count, p_filter, p_hybrid);
end;
$$;

comment on function public.search_passages(text, extensions.vector, double precision, integer, jsonb, text) is
'Passages of the caller''s documents, best first, by reciprocal rank fusion of two lists: those that match_embeddings '
'returns, and those with words of query_text, whatever their similarity. Arguments, charge and errors as those of '
'match_embeddings.';

comment on function public.search_documents_v2(text, jsonb, integer, jsonb, boolean) is
'What the API searches with: the same question by several models, [{model, embedding, threshold}], in one view of the '
'data, so that no document is missed that is just moved between them. A question whose embedding is null, of a text '
'without words to the model, finds words only. Returns {models: those that the passages have, answers: the passages that '
'each question finds, none where no passage has its model}. Six calls are allowed for each request a minute. Errors as '
'those of match_embeddings.';

comment on function private.find_embeddings(extensions.vector, double precision, integer, jsonb, text) is
'See public.match_embeddings, which charges for it.';
comment on function private.find_passages(text, extensions.vector, double precision, integer, jsonb, text) is
'See public.search_passages, which charges for it.';
comment on function private.find_answers(text, jsonb, integer, jsonb, boolean) is
'See public.search_documents_v2, which charges for it.';

-- what it calls writes now
alter function public.search_documents(text, extensions.vector, double precision, integer, jsonb, text, boolean) volatile;

revoke all on function private.charge_search(text, integer) from public, anon, service_role;
revoke all on function private.find_embeddings(extensions.vector, double precision, integer, jsonb, text)
from public, anon, service_role;
revoke all on function private.find_passages(text, extensions.vector, double precision, integer, jsonb, text)
from public, anon, service_role;
revoke all on function private.find_answers(text, jsonb, integer, jsonb, boolean) from public, anon, service_role;
grant execute on function private.charge_search(text, integer) to authenticated;
grant execute on function private.find_embeddings(extensions.vector, double precision, integer, jsonb, text) to authenticated;
grant execute on function private.find_passages(text, extensions.vector, double precision, integer, jsonb, text)
to authenticated;
grant execute on function private.find_answers(text, jsonb, integer, jsonb, boolean) to authenticated;
