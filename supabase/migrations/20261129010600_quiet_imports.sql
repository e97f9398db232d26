-- Before the code: an import sends no event for each of its messages. Nothing else changes.
create or replace function private.announce_new_messages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- those that watch the list hear of the conversation
  if current_setting('parley.importing', true) = 'on' then
    return null;
  end if;
  perform realtime.send(
    jsonb_build_object(
      'message_id', m.id, 'conversation_id', m.conversation_id, 'role', m.role, 'status', m.status,
      'parent_id', m.parent_id, 'version', m.version, 'seq', m.seq, 'created_at', m.created_at,
      'content', private.pushable(m.content)
    ),
    case m.status when 'streaming' then 'message.started' else 'message.created' end,
    'conversation:' || m.conversation_id,
    true
  )
  -- an import is not a conversation: of a statement that inserts more, the rest is for the next reader of the table
  from (select i.* from inserted as i order by i.position limit 1000) as m;
  return null;
end;
$$;
