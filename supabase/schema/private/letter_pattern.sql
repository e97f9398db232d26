-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.letter_pattern(
  p_letter text
) returns text
language sql
stable
security definer
set search_path = ''
as $$
  select format('[%s%s]', string_agg(l.letter, ''), string_agg(v.variants, ''))
  from (
    select p_letter as letter
    union
    -- the sound mark of a kana may be a character of its own
    select left(normalize(p_letter, nfd), 1)
  ) as l
  left join private.letter_variants as v on v.folded = l.letter
$$;

comment on function private.letter_pattern(text) is
'A regular expression for a folded letter.';
