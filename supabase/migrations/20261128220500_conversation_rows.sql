-- Before the code: a conversation's row tells its head, its last activity, a preview and the number of messages, kept by
-- whatever writes messages. Nothing is counted when the list is read.
--
-- Locks: messages first, then conversations by id, as a deletion does. A conversation that is being deleted is passed over.
create function private.count_new_messages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update public.conversations as c
  set
    head_id = n.newest_id,
    preview = private.preview(n.newest_id),
    message_count = c.message_count + n.messages,
    last_message_at = case when c.message_count = 0 then n.newest else greatest(c.last_message_at, n.newest) end
  from (
    select
      i.conversation_id,
      count(*)::integer as messages,
      (array_agg(i.id order by i.position desc))[1] as newest_id,
      max(i.created_at) as newest
    from inserted as i
    group by i.conversation_id
  ) as n
  where c.id = n.conversation_id and c.message_count is not null;
  return null;
end;
$$;

comment on function private.count_new_messages() is
'Trigger: the newest message is its conversation''s head, and counted.';

create function private.preview_ended_replies() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_ended uuid[];
  v_kept uuid[];
begin
  select array_agg(a.id) into v_ended
  from after as a
  join before as b on b.id = a.id
  where a.status <> b.status;
  if v_ended is null then
    return null;
  end if;
  select coalesce(array_agg(k.id), '{}') into v_kept
  from (
    select c.id from public.conversations as c
    where c.id in (select a.conversation_id from after as a where a.id = any(v_ended))
    for key share skip locked
  ) as k;
  perform from public.conversations as c where c.id = any(v_kept) order by c.id for no key update;
  update public.conversations as c
  set preview = private.preview(c.head_id)
  where
    c.id = any(v_kept)
    and c.head_id = any(v_ended)
    and c.message_count is not null
    and c.preview is distinct from private.preview(c.head_id);
  return null;
end;
$$;

comment on function private.preview_ended_replies() is
'Trigger: a reply that has ended is its conversation''s preview, where it is the head.';

create function private.count_deleted_messages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_gone record;
  v_conversation public.conversations;
  v_next uuid;
begin
  for v_gone in
    select d.conversation_id, count(*)::integer as messages
    from deleted as d
    group by d.conversation_id
    order by d.conversation_id
  loop
    select * into v_conversation from public.conversations as c
    where c.id = v_gone.conversation_id and c.message_count is not null
    for no key update;
    continue when not found;  -- it goes as a whole
    if exists (select from deleted as d where d.id = v_conversation.head_id) then
      v_next := null;
      select coalesce(
        (
          select s.id from public.messages as s
          where s.parent_id = t.parent_id
          order by s.position > t.position, abs(s.position - t.position)
          limit 1
        ),
        (
          select s.id from public.messages as s
          where t.parent_id is null and s.parent_id is null and s.conversation_id = v_conversation.id
          order by s.position > t.position, abs(s.position - t.position)
          limit 1
        ),
        (select p.id from public.messages as p where p.id = t.parent_id)
      )
      into v_next
      from (
        select d.parent_id, d.position from deleted as d
        where
          d.conversation_id = v_conversation.id
          and not exists (select from deleted as p where p.id = d.parent_id)
        order by d.position
        limit 1
      ) as t;
      v_conversation.head_id := private.leaf(coalesce(
        v_next,
        (
          select m.id from public.messages as m
          where m.conversation_id = v_conversation.id and m.user_id = v_conversation.user_id
          order by m.turn desc, m.position desc
          limit 1
        )
      ));
    end if;
    update public.conversations as c
    set
      head_id = v_conversation.head_id,
      preview = private.preview(v_conversation.head_id),
      message_count = c.message_count - v_gone.messages
    where c.id = v_conversation.id;
  end loop;
  return null;
end;
$$;

comment on function private.count_deleted_messages() is
'Trigger: deleted messages are counted no more. Where the head is one of them, the branch through the sibling before the first of them is shown, else through the one after it, else the message that it followed.';

revoke all on function private.count_new_messages() from public, anon, authenticated, service_role;
revoke all on function private.preview_ended_replies() from public, anon, authenticated, service_role;
revoke all on function private.count_deleted_messages() from public, anon, authenticated, service_role;

create trigger messages_count_new
after insert on public.messages
referencing new table as inserted
for each statement execute function private.count_new_messages();

create trigger messages_preview_ended
after update on public.messages
referencing old table as before new table as after
for each statement execute function private.preview_ended_replies();

create trigger messages_count_deleted
after delete on public.messages
referencing old table as deleted
for each statement execute function private.count_deleted_messages();
