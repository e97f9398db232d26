-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.plant_trees() returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_id uuid;
begin
  for v_id in
    select c.id from public.conversations as c
    where
      c.message_count is null
      -- the locks on its messages would keep the reply's writer from them
      and not exists (
        select from public.messages as m
        join private.live_replies as l on l.message_id = m.id
        where m.conversation_id = c.id
      )
    order by c.position desc
    limit 100
    for no key update skip locked
  loop
    perform private.plant_tree(v_id);
  end loop;
end;
$$;

comment on function private.plant_trees() is
'private.plant_tree for up to 100 conversations, the newest first. Called again and again by recover_replies.';

grant execute on function private.plant_trees() to service_role;
