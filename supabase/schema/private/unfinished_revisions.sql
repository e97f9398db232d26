-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.unfinished_revisions(
  p_user_id uuid
) returns bigint[]
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(array_agg(d.next_revision), '{}')
  from public.documents as d
  -- a document that still waits has no passages to hide
  where d.user_id = p_user_id and d.next_revision is not null and d.status <> 'pending'
$$;

comment on function private.unfinished_revisions(uuid) is
'Revisions of the owner''s documents that are not whole yet: a search returns none of their passages.';

grant execute on function private.unfinished_revisions(uuid) to authenticated;
