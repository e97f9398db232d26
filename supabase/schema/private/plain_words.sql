-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.plain_words(
  p_text text
) returns text
language sql
immutable
parallel safe
security invoker
set search_path = ''
as $$
  select regexp_replace(
    -- what has no width would glue what it stands between
    regexp_replace(
      normalize(p_text, nfkc), '[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]', '', 'g'
    ),
    -- punctuation and signs of ASCII; the parser knows the others
    '[!-/:-@\[-`{-~]', ' ', 'g'
  )
$$;

comment on function private.plain_words(text) is
'The text with blanks for ASCII punctuation and signs, so that the parser finds words and numbers only.';
