-- Before the code: nothing of it changes; searches for a frequent and a rare word take a quarter of the time.
--
-- A beginning of a word is looked up by collecting all texts of a stretch that have it. For a frequent word these are most of
-- them, in each stretch that is read, only to find that none has the rare word. So where a rare one is known, its few texts
-- are read and compared with the others.
drop function private.found_in_stretch(uuid, bigint, private.search_term[]);

create function private.stretch_query(p_stretch text, p_terms private.search_term[], p_beginnings boolean) returns tsquery
language sql
immutable
parallel safe
set search_path = ''
as $$
  select string_agg(
    quote_literal(p_stretch || l.word) || case when p_beginnings and l.begins then ':*' else '' end, ' & '
  )::tsquery
  from (
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
  ) as l
$$;

comment on function private.stretch_query(text, private.search_term[], boolean) is
'What the texts of a stretch that have all terms match, also as beginnings of words or only as whole ones. p_stretch is what the '
'words of the stretch begin with.';

create function private.rare_term(
  p_user_id uuid, p_stretch bigint, p_terms private.search_term[], p_last private.search_term
) returns private.search_term
language plpgsql
stable
security definer
set search_path = ''
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  -- reading so many texts takes less time than collecting those of a frequent word
  c_few constant integer := 16;
  c_tried constant integer := 4;

  v_start text := private.stretch_of(p_user_id, p_stretch);
  v_term private.search_term;
  v_asked tsquery;
begin
  foreach v_term in array case
    when p_last is not null then array[p_last]
    -- long words are rare ones, mostly
    else array(select t from unnest(p_terms) as t order by char_length(t.letters) desc limit c_tried)
  end loop
    v_asked := private.stretch_query(v_start, array[v_term], true);
    perform from private.searched_texts as s where s.words @@ v_asked offset c_few limit 1;
    if not found then
      return v_term;
    end if;
  end loop;
  return null;
end;
$$;

comment on function private.rare_term(uuid, bigint, private.search_term[], private.search_term) is
'A term of a query that at most 16 texts of a stretch have: p_last, or one of the longest; null when these have more.';

create function private.found_in_stretch(
  p_user_id uuid, p_stretch bigint, p_terms private.search_term[], p_rare private.search_term
) returns private.found_text[]
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
  v_asked tsquery := private.stretch_query(v_start, p_terms, true);
  v_whole tsquery := private.stretch_query(v_start, p_terms, false);
  v_sought tsquery := coalesce(private.stretch_query(v_start, array[p_rare], true), v_asked);
  v_runs text[];
  v_found private.found_text[];
begin
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
    from (select * from private.searched_texts as s where s.words @@ v_sought offset 0) as t
    where t.user_id = p_user_id and (p_rare is null or t.words @@ v_asked)
    order by t.message_id, t.conversation_id, t.id
  ) as f
  where
    v_runs is null
    or (
      select bool_and(
        -- most texts have them as they were written
        strpos(o.content, r.letters) > 0 or strpos(private.plain_search(o.content, ''), r.letters) > 0
      )
      from (
        select coalesce(
          (select m.content from public.messages as m where m.id = f.message_id),
          (select c.title from public.conversations as c where c.id = f.conversation_id)
        ) as content
      ) as o
      cross join unnest(v_runs) as r (letters)
    );
  return coalesce(v_found, '{}');
end;
$$;

comment on function private.found_in_stretch(uuid, bigint, private.search_term[], private.search_term) is
'The texts of a stretch of a user''s that have all terms, in no order. They are sought by p_rare, which few texts have, else by all '
'terms. score grows with the time that the text was written at, so it does not change with the time that it is asked for.';

create or replace function private.found_texts(p_query text, p_count integer, p_after text)
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
  v_rare private.search_term;
  v_read integer := 0;
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
      -- the first stretch is enough for words that are frequent together
      if cardinality(v_terms) > 1 and (v_read = 1 or v_rare is not null) then
        v_rare := private.rare_term(v_user_id, v_stretch, v_terms, v_rare);
      end if;
      v_read := v_read + 1;
      v_found := v_found || private.found_in_stretch(v_user_id, v_stretch, v_terms, v_rare);
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

revoke all on function private.stretch_query(text, private.search_term[], boolean)
from public, anon, authenticated, service_role;
revoke all on function private.rare_term(uuid, bigint, private.search_term[], private.search_term)
from public, anon, authenticated, service_role;
revoke all on function private.found_in_stretch(uuid, bigint, private.search_term[], private.search_term)
from public, anon, authenticated, service_role;
