-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.query_pattern(
  p_query text
) returns text
language sql
stable
security definer
set search_path = ''
as $$
  select string_agg(private.term_pattern(t), '|' order by char_length(t.letters) desc)
  from unnest(private.search_terms(p_query)) as t
$$;

comment on function private.query_pattern(text) is
'A regular expression for any term of a query in a text as it was written; null when it has none.';

grant execute on function private.query_pattern(text) to authenticated;
