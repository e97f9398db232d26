-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.search_terms(
  p_query text
) returns private.search_term[]
language sql
immutable
parallel safe
security invoker
set search_path = ''
as $$
  with unspaced as (
    select private.unspaced_letters(2) || private.unspaced_letters(3) as letters
  )
  select array_agg(distinct (t.term[1], t.term[1] ~ ('^[' || u.letters || ']'))::private.search_term)
  from unspaced as u
  cross join lateral regexp_matches(
    private.plain_search(p_query, ''), '[' || u.letters || ']+|[^ ' || u.letters || ']+', 'g'
  ) as t (term)
$$;

comment on function private.search_terms(text) is
'What a query asks for, all of it; null when it has no word.';
