-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.switch_branch(
  p_conversation_id uuid,
  p_message_id uuid
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := auth.uid();
  v_conversation public.conversations;
  v_message public.messages;
begin
  -- not while a turn begins or a message is deleted
  perform pg_advisory_xact_lock(hashtextextended(v_user_id::text, 0));
  select * into v_conversation from public.conversations as c
  where c.id = p_conversation_id and c.user_id = v_user_id
  for no key update;
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such conversation.';
  end if;
  perform private.plant_tree(p_conversation_id);
  select * into v_conversation from public.conversations as c where c.id = p_conversation_id;
  select * into v_message from public.messages as m
  where m.id = p_message_id and (m.conversation_id = p_conversation_id) is true;
  if not found then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = 'head_id: no such message in this conversation.';
  end if;

  -- a message that is shown already is on the branch that stays
  if not exists (
    with recursive branch as (
      select m.id, m.parent_id, m.position from public.messages as m where m.id = v_conversation.head_id
      union all
      select p.id, p.parent_id, p.position
      from branch as b
      cross join lateral (
        select m.id, m.parent_id, m.position from public.messages as m where m.id = b.parent_id offset 0
      ) as p
      where b.position > v_message.position
    )
    select from branch as b where b.id = v_message.id
  ) then
    v_conversation.head_id := private.leaf(p_message_id);
    update public.conversations as c
    set head_id = v_conversation.head_id, preview = private.preview(v_conversation.head_id)
    where c.id = p_conversation_id
    returning * into v_conversation;
    perform private.announce_head(p_conversation_id, v_conversation.head_id);
  end if;
  return to_jsonb(v_conversation);
end;
$$;

comment on function private.switch_branch(uuid, uuid) is
'See public.switch_branch.';

grant execute on function private.switch_branch(uuid, uuid) to authenticated;
