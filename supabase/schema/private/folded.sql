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
        translate(
          case when p_text ~ ('[' || private.digits() || ']') then private.with_ascii_digits(t.small) else t.small end,
          'øłđðħıςىیک', 'olddhiσييك'
        ),
        'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
      '[' || private.accents() || ']+', '', 'g'
    ),
    nfc
  )
  from (select normalize(lower(p_text), nfkd) as small) as t
$$;

comment on function private.folded(text) is
'The text in small letters without accents and with the digits of ASCII, so that a word is found however it is written.';
