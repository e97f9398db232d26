-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.without_width() returns text
language sql
immutable
parallel safe
security invoker
set search_path = ''
as $$
  select '\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff'
$$;

comment on function private.without_width() is
'Characters without width, as ranges of a regular expression: they part no words.';
