-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.next_version(
  p_conversation_id uuid,
  p_parent_id uuid
) returns integer
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(max(s.version), 0) + 1
  from (
    select m.version from public.messages as m
    where m.parent_id = p_parent_id
    union all
    select m.version from public.messages as m
    where p_parent_id is null and m.parent_id is null and m.conversation_id = p_conversation_id
  ) as s
$$;

comment on function private.next_version(uuid, uuid) is
'The version of the next message that follows this one, or none.';
