-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.delete_message(
  p_message_id uuid
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := auth.uid();
  v_conversation public.conversations;
  v_head_id uuid;
  v_gone uuid[];
  v_ended jsonb;
begin
  -- not while a turn begins or a branch is switched
  perform pg_advisory_xact_lock(hashtextextended(v_user_id::text, 0));
  select m.conversation_id into v_conversation.id from public.messages as m
  where m.id = p_message_id and (m.user_id = v_user_id) is true;
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such message.';
  end if;
  perform private.plant_tree(v_conversation.id);
  select c.head_id into v_head_id from public.conversations as c where c.id = v_conversation.id;

  with recursive below as (
    select p_message_id as id
    union all
    select m.id
    from below as b
    cross join lateral (select o.id from public.messages as o where o.parent_id = b.id offset 0) as m
  )
  select array_agg(b.id) into v_gone from below as b;
  -- in one statement: the foreign key's cascade goes a level of the stack deeper with each message
  with gone as (
    delete from public.messages as m where m.id = any(v_gone)
    returning m.id, m.status
  )
  select coalesce(jsonb_agg(g.id) filter (where g.status = 'streaming'), '[]') into v_ended from gone as g;

  select * into v_conversation from public.conversations as c where c.id = v_conversation.id;
  if v_conversation.head_id is distinct from v_head_id then
    perform private.announce_head(v_conversation.id, v_conversation.head_id);
  end if;
  return jsonb_build_object('head_id', v_conversation.head_id, 'ended', v_ended);
end;
$$;

comment on function private.delete_message(uuid) is
'See public.delete_message.';

grant execute on function private.delete_message(uuid) to authenticated;
