-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.ranked_passages() returns integer
language sql
immutable
parallel safe
security invoker
set search_path = ''
as $$
  select 2000
$$;

comment on function private.ranked_passages() is
'An owner of so many passages, or fewer, is always searched by ranking, so that recall is exactly 1.';

grant execute on function private.ranked_passages() to authenticated;
