-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.query_patterns(
  p_query text
) returns text[]
language sql
stable
security definer
set search_path = ''
as $$
  select array_agg(private.term_pattern(t) order by char_length(t.letters) desc, t.letters)
  from unnest(private.search_terms(p_query)) as t
$$;

comment on function private.query_patterns(text) is
'Regular expressions for the terms of a query in a text as it was written, the longest first; null when it has none.';

grant execute on function private.query_patterns(text) to authenticated;
