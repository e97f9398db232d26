-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.leaf(
  p_message_id uuid
) returns uuid
language sql
stable
security invoker
set search_path = ''
as $$
  with recursive branch as (
    select p_message_id as id, 0 as depth
    union all
    select n.id, b.depth + 1
    from branch as b
    cross join lateral (
      select m.id from public.messages as m where m.parent_id = b.id order by m.version desc limit 1
    ) as n
  )
  select b.id from branch as b order by b.depth desc limit 1
$$;

comment on function private.leaf(uuid) is
'The last message of the branch through a message; where several follow one, the newest.';
