-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.has_passages(
  p_user_id uuid
) returns boolean
language sql
stable
security invoker
set search_path = ''
as $$ select exists (select from private.passage_counts as c where c.user_id = p_user_id and c.passages > 0) $$;

comment on function private.has_passages(uuid) is
'Whether a user has passages that a search may find.';
