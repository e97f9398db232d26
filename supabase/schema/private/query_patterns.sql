-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.query_patterns(
  p_query text
) returns text[]
language sql
stable
security definer
set search_path = ''
as $$
  select case when t.terms is not null then array[
    private.terms_pattern((
      select array_agg(l) from (select o from unnest(t.terms) as o order by char_length(o.letters) desc limit 1) as l (l)
    )),
    private.terms_pattern(t.terms)
  ] end
  from (select private.search_terms(p_query) as terms) as t
$$;

comment on function private.query_patterns(text) is
'Regular expressions for the longest term of a query in a text as it was written, and for any; null when it has none.';

grant execute on function private.query_patterns(text) to authenticated;
