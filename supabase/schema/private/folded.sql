-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.folded(
  p_text text
) returns text
language sql
immutable
parallel safe
security invoker
set search_path = ''
as $$
  select normalize(
    regexp_replace(
      replace(replace(replace(replace(
        translate(normalize(lower(p_text), nfkd), 'øłđðħıςىیک', 'olddhiσييك'),
        'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
      '[' || private.accents() || ']+', '', 'g'
    ),
    nfc
  )
$$;

comment on function private.folded(text) is
'The text in small letters without accents, so that a word is found with and without them.';
