-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.words_query(
  p_text text
) returns tsquery
language sql
immutable
parallel safe
security invoker
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
