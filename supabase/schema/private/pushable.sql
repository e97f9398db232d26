-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.pushable(
  p_text text
) returns text
language sql
immutable
security invoker
set search_path = ''
as $$ select case when octet_length(p_text) <= 40000 then p_text end $$;

comment on function private.pushable(text) is
'A text as it may stand in a broadcast: null when it has more than 40,000 bytes, which JSON may write as six times as many, still below the 256 KB that a broadcast may have. Devices then read the row.';
