-- The words of passages, for hybrid search, whatever stands around them and whatever their script.
--
-- Postgres' parser takes "<…>" for a tag and drops it, "main.py" and "bob@example.com" for one word each, and a minus
-- for a part of its number. And it finds no words in scripts that are written without blanks between them.
--
-- Before the code: nothing that the service calls is another. embeddings is written anew with its indexes, some ms a
-- passage: meanwhile searches wait, and turns go on without.

create function private.unspaced_letters(p_window integer) returns text
language sql
immutable
parallel safe
set search_path = ''
as $$
  select case p_window
    -- ideographs, hangul
    when 2 then '\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff'
    -- thai and lao, burmese, khmer, kana
    when 3 then '\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff'
  end
$$;

comment on function private.unspaced_letters(integer) is
'Letters, as ranges of a regular expression, of scripts without blanks between words (in Korean: between a word and its '
'particles), of which p_window in a row say as much as a word: 2 or 3.';

create function private.plain_words(p_text text) returns text
language sql
immutable
parallel safe
set search_path = ''
as $$
  select regexp_replace(
    -- what has no width would glue what it stands between
    regexp_replace(
      normalize(p_text, nfkc), '[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]', '', 'g'
    ),
    -- punctuation and signs of ASCII; the parser knows the others
    '[!-/:-@\[-`{-~]', ' ', 'g'
  )
$$;

comment on function private.plain_words(text) is
'The text with blanks for ASCII punctuation and signs, so that the parser finds words and numbers only.';

create function private.passage_words(p_metadata jsonb, p_content text) returns tsvector
language sql
immutable
parallel safe
-- definer: whoever writes a passage makes its generated column, and need not be let into this schema for it
security definer
set search_path = ''
as $$
  select to_tsvector(
    'pg_catalog.english',
    -- each letter of an unspaced script is a word, and a phrase of them finds any word
    regexp_replace(
      private.plain_words(left(coalesce(p_metadata ->> 'heading', ''), 1000) || ' ' || p_content),
      '([' || private.unspaced_letters(2) || private.unspaced_letters(3) || '])', ' \1 ', 'g'
    )
  )
$$;

comment on function private.passage_words(jsonb, text) is 'The words of a passage''s heading and content.';

create function private.words_query(p_text text) returns tsquery
language sql
immutable
parallel safe
set search_path = ''
as $$
  with plain as (
    select private.plain_words(p_text) as words
  ), runs as (
    select r.letters[1] as letters, w.size
    from plain as p
    cross join (values (2, 1), (3, 2)) as w (size, least)
    cross join lateral regexp_matches(
      -- one kana says nothing
      p.words, '[' || private.unspaced_letters(w.size) || ']{' || w.least || ',}', 'g'
    ) as r (letters)
  ), alternatives as (
    select phraseto_tsquery(
      'pg_catalog.english', regexp_replace(substr(r.letters, s.start, r.size), '(.)', '\1 ', 'g')
    )::text as alternative
    from runs as r
    cross join lateral generate_series(1, greatest(1, char_length(r.letters) - r.size + 1)) as s (start)
    union
    select format('''%s''', w.lexeme)
    from plain as p
    cross join lateral unnest(to_tsvector(
      'pg_catalog.english',
      regexp_replace(p.words, '[' || private.unspaced_letters(2) || private.unspaced_letters(3) || ']', ' ', 'g')
    )) as w
  )
  select string_agg(a.alternative, ' | ')::tsquery from alternatives as a where a.alternative <> ''
$$;

comment on function private.words_query(text) is
'Any of the words of a text; of an unspaced script any letters of it in a row. Null for a text without words.';

-- written anew with its indexes: the expression of a generated column cannot be changed before Postgres 17
alter table public.embeddings drop column fts;
alter table public.embeddings
add column fts tsvector generated always as (private.passage_words(metadata, content)) stored;
comment on column public.embeddings.fts is 'The words of heading and content, for search_passages.';
create index embeddings_user_id_fts_idx on public.embeddings using gin (user_id, fts);

create or replace function private.passages_with_words(p_query text, p_count integer, p_filter jsonb, p_model text)
returns uuid[]
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
  v_words tsquery := private.words_query(left(p_query, 2000));
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

revoke all on function private.unspaced_letters(integer) from public, anon, authenticated, service_role;
revoke all on function private.plain_words(text) from public, anon, authenticated, service_role;
revoke all on function private.passage_words(jsonb, text) from public, anon, authenticated, service_role;
revoke all on function private.words_query(text) from public, anon, authenticated, service_role;
-- row level security decides who writes passages
grant execute on function private.passage_words(jsonb, text) to anon, authenticated, service_role;
