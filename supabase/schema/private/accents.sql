-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.accents() returns text
language sql
immutable
parallel safe
security invoker
set search_path = ''
as $$
  -- accents, points and vowels of Hebrew and Arabic, tatweel; the nukta of Devanagari, Bengali, Gurmukhi, Gujarati, Odia, Kannada
  select
    '\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4'
    || '\u093c\u09bc\u0a3c\u0abc\u0b3c\u0cbc'
$$;

comment on function private.accents() is
'Marks without which a word is found, too, as ranges of a regular expression.';
