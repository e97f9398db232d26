-- Before the code: it searches titles and messages.
create type private.found_text as (
  -- not the id, which would tell how many texts everybody has
  ordinal bigint,
  message_id uuid,
  conversation_id uuid,
  score double precision
);

create function private.found_in_stretch(p_user_id uuid, p_stretch bigint, p_terms private.search_term[])
returns private.found_text[]
language plpgsql
stable
security definer
set search_path = ''
-- one plan for all stretches, and that is the index of words: nothing is known of how often one occurs
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  -- as long a time as a text has to be newer to come before one that has whole words of the query, not just beginnings
  c_weight constant double precision := extract(epoch from interval '90 days');

  v_start text := private.stretch_of(p_user_id, p_stretch);
  v_asked tsquery;
  v_whole tsquery;
  v_runs text[];
  v_found private.found_text[];
begin
  with lexemes as (
    -- one letter of an unspaced script begins pairs; one of another script is a word
    select
      left(t.letters, 40) as word,
      case when t.unspaced then char_length(t.letters) = 1 else char_length(t.letters) > 1 end as begins
    from unnest(p_terms) as t
    where not t.unspaced or char_length(t.letters) = 1
    union
    select substr(t.letters, s.start, 2), false
    from unnest(p_terms) as t
    cross join lateral generate_series(1, char_length(t.letters) - 1) as s (start)
    where t.unspaced
  )
  select
    string_agg(quote_literal(v_start || l.word) || case when l.begins then ':*' else '' end, ' & ')::tsquery,
    string_agg(quote_literal(v_start || l.word), ' & ')::tsquery
  into v_asked, v_whole
  from lexemes as l;
  -- pairs do not say in which order they stand
  select array_agg(t.letters) into v_runs from unnest(p_terms) as t where t.unspaced and char_length(t.letters) > 2;

  select array_agg((f.ordinal, f.message_id, f.conversation_id, f.score)::private.found_text) into v_found
  from (
    -- of a text with several pieces, one
    select distinct on (t.message_id, t.conversation_id)
      t.ordinal,
      t.message_id,
      t.conversation_id,
      extract(epoch from t.written_at)::double precision / c_weight
      + (t.words @@ v_whole)::integer
      + (t.conversation_id is not null)::integer
      -- the same words say more of a short text
      - 0.2 * ln(1 + length(t.words)) as score
    from (select * from private.searched_texts as s where s.words @@ v_asked offset 0) as t
    where t.user_id = p_user_id
    order by t.message_id, t.conversation_id, t.id
  ) as f
  where
    v_runs is null
    or (
      select bool_and(strpos(o.plain, r.letters) > 0)
      from (
        select private.plain_search(coalesce(
          (select m.content from public.messages as m where m.id = f.message_id),
          (select c.title from public.conversations as c where c.id = f.conversation_id)
        ), '') as plain
      ) as o
      cross join unnest(v_runs) as r (letters)
    );
  return coalesce(v_found, '{}');
end;
$$;

comment on function private.found_in_stretch(uuid, bigint, private.search_term[]) is
'The texts of a stretch of a user''s that have all terms, in no order. score grows with the time that the text was written at, '
'so it does not change with the time that it is asked for.';

create function private.found_texts(p_query text, p_count integer, p_after text)
returns table (place integer, message_id uuid, conversation_id uuid, score double precision, "cursor" text)
language plpgsql
stable
-- definer: under row level security no index of a text search may be used, since its operator is not leakproof
security definer
rows 20
set search_path = ''
as $$
declare
  -- so many are ranked together; older ones come after them
  c_ranked constant integer := 200;

  v_user_id uuid := auth.uid();
  v_terms private.search_term[] := private.search_terms(p_query);
  v_after text[] := string_to_array(p_after, ' ');
  v_oldest bigint;
  v_stretch bigint;
  v_first bigint;
  v_last bigint;
  v_found private.found_text[];
  v_count integer := 0;
  v_hit record;
begin
  select t.ordinal >> 11 into v_oldest from private.searched_texts as t
  where t.user_id = v_user_id order by t.ordinal limit 1;
  select t.ordinal >> 11 into v_stretch from private.searched_texts as t
  where t.user_id = v_user_id order by t.ordinal desc limit 1;
  if v_after is not null then
    v_stretch := least(v_stretch, v_after[1]::bigint);
  end if;

  while v_stretch >= v_oldest loop
    v_first := v_stretch;
    v_found := '{}';
    loop
      v_found := v_found || private.found_in_stretch(v_user_id, v_stretch, v_terms);
      v_stretch := v_stretch - 1;
      exit when
        v_stretch < v_oldest
        -- a page begins in what was ranked together with the one before
        or case when v_after is null then cardinality(v_found) >= c_ranked else v_stretch < v_after[2]::bigint end;
    end loop;
    v_last := v_stretch + 1;
    for v_hit in
      select f.* from unnest(v_found) as f
      where v_after is null or (f.score, f.ordinal) < (v_after[3]::double precision, v_after[4]::bigint)
      order by f.score desc, f.ordinal desc
      limit p_count - v_count
    loop
      v_count := v_count + 1;
      place := v_count;
      message_id := v_hit.message_id;
      conversation_id := v_hit.conversation_id;
      score := v_hit.score;
      "cursor" := concat_ws(' ', v_first, v_last, v_hit.score, v_hit.ordinal);
      return next;
    end loop;
    exit when v_count >= p_count;
    v_after := null;
  end loop;
end;
$$;

comment on function private.found_texts(text, integer, text) is
'The caller''s titles and messages that have all words of a query, the best first, after the one with the cursor p_after.';

create function public.search_conversations(query text, match_count integer default 20, after text default null)
returns table (
  conversation jsonb,
  message_id uuid,
  role text,
  snippet text,
  written_at timestamptz,
  score double precision,
  "cursor" text
)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  c_longest constant integer := 200;
  -- a page of the API and one more, by which it knows whether another page follows
  c_most constant integer := 101;

  v_patterns text[];
begin
  if query is null or query !~ '\S' then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'q: expected text, got only blanks.';
  end if;
  if char_length(query) > c_longest then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format('q: %s characters; at most %s are taken.', char_length(query), c_longest);
  end if;
  if match_count is null or match_count not between 1 and c_most then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format('match_count: expected 1 to %s.', c_most);
  end if;
  if after !~ '^-?\d{1,15} -?\d{1,15} -?\d{1,4}(\.\d{1,17})?(e-\d{1,3})? -?\d{1,15}$' then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'cursor: not the cursor of a hit.';
  end if;
  v_patterns := private.query_patterns(query);
  if v_patterns is null then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'q: expected a letter or a digit.';
  end if;
  return query
  select
    to_jsonb(c),
    m.id,
    m.role,
    private.snippet(coalesce(m.content, c.title), v_patterns),
    coalesce(m.created_at, c.updated_at),
    f.score,
    f."cursor"
  from private.found_texts(query, match_count, after) as f
  -- one row after the other by its id: a plan for more hits than there are would read whole tables
  left join lateral (select o.* from public.messages as o where o.id = f.message_id limit 1) as m on true
  cross join lateral (
    select o.* from public.conversations as o where o.id = coalesce(m.conversation_id, f.conversation_id) limit 1
  ) as c
  order by f.place;
end;
$$;

comment on function public.search_conversations(text, integer, text) is
'The caller''s titles and messages that have all words of a query of at most 200 characters, or words that begin with them; of '
'all branches, the best first. conversation is the row of the conversation; message_id and role are null for a title. snippet '
'is HTML: the text''s own characters are escaped, the only tags are <mark> around what was found. after is the cursor of the '
'last hit of the page before. Error: PT422 invalid_request.';

revoke all on type private.found_text from public, anon, authenticated, service_role;
revoke all on function private.found_in_stretch(uuid, bigint, private.search_term[])
from public, anon, authenticated, service_role;
revoke all on function private.found_texts(text, integer, text) from public, anon, service_role;
revoke all on function private.query_patterns(text) from public, anon, service_role;
revoke all on function private.snippet(text, text[]) from public, anon, service_role;
revoke all on function public.search_conversations(text, integer, text) from public, anon, service_role;
grant execute on function private.found_texts(text, integer, text) to authenticated;
grant execute on function private.query_patterns(text) to authenticated;
grant execute on function private.snippet(text, text[]) to authenticated;
grant execute on function public.search_conversations(text, integer, text) to authenticated;
