-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.stretch_query(
  p_stretch text,
  p_terms private.search_term[],
  p_beginnings boolean
) returns tsquery
language sql
immutable
parallel safe
security invoker
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
'What the texts of a stretch that have all terms match, also as beginnings of words or only as whole ones. p_stretch is what the words of the stretch begin with.';
