-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.letter_pattern(
  p_letter text
) returns text
language sql
stable
security definer
set search_path = ''
as $$
  select '[' || p_letter || coalesce((select v.variants from private.letter_variants as v where v.folded = p_letter), '') || ']'
$$;

comment on function private.letter_pattern(text) is
'A regular expression for a folded letter.';
