-- Each change of a message is broadcast to conversation:{id} in the transaction that makes it, whoever makes it: what
-- devices see is what is stored. realtime.send never fails its caller; it warns.
create function private.pushable(p_text text) returns text
language sql
immutable
set search_path = ''
as $$ select case when octet_length(p_text) <= 40000 then p_text end $$;

comment on function private.pushable(text) is
'A text as it may stand in a broadcast: null when it has more than 40,000 bytes, which JSON may write as six times as '
'many, still below the 256 KB that a broadcast may have. Devices then read the row.';

create function private.announce_new_messages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
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

comment on function private.announce_new_messages() is
'Trigger: message.started for a reply that begins to stream, message.created for every other message.';

create function private.announce_reply() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_topic text := 'conversation:' || new.conversation_id;
  v_event text := case
    when new.status = old.status then null
    when new.status in ('complete', 'filtered') then 'message.completed'
    when new.status in ('stopped', 'failed', 'interrupted') then 'message.' || new.status
  end;
begin
  if new.seq > old.seq then
    perform realtime.send(
      jsonb_build_object(
        'message_id', new.id,
        'seq', new.seq,
        -- a text that does not go on from the one before has to be read anew, like one that is too long
        'text', case
          when starts_with(new.content, old.content)
            then private.pushable(right(new.content, char_length(new.content) - char_length(old.content)))
        end
      ),
      'message.delta', v_topic, true
    );
  end if;
  if v_event is not null then
    perform realtime.send(
      jsonb_build_object(
        'message_id', new.id, 'status', new.status, 'seq', new.seq, 'length', char_length(new.content),
        'finish_reason', new.finish_reason, 'error_code', new.error_code, 'provider', new.provider, 'model', new.model,
        'prompt_tokens', new.prompt_tokens, 'completion_tokens', new.completion_tokens
      ),
      v_event, v_topic, true
    );
  end if;
  return null;
end;
$$;

comment on function private.announce_reply() is
'Trigger: message.delta for each piece that a reply grows by, then how it ended: message.completed (also when filtered), '
'message.stopped, message.failed or message.interrupted.';

create function private.announce_deleted_messages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform realtime.send(
    jsonb_build_object('message_id', m.id, 'conversation_id', m.conversation_id),
    'message.deleted',
    'conversation:' || m.conversation_id,
    true
  )
  from (
    -- of a conversation that goes as a whole, conversation.deleted says it all, but to those who watch a reply grow
    select d.id, d.conversation_id from deleted as d
    left join public.conversations as c on c.id = d.conversation_id
    where c.id is not null or d.status = 'streaming'
    order by d.position
    limit 1000
  ) as m;
  return null;
end;
$$;

comment on function private.announce_deleted_messages() is 'Trigger: message.deleted.';

revoke all on function private.pushable(text) from public, anon, authenticated, service_role;
revoke all on function private.announce_new_messages() from public, anon, authenticated, service_role;
revoke all on function private.announce_reply() from public, anon, authenticated, service_role;
revoke all on function private.announce_deleted_messages() from public, anon, authenticated, service_role;

create trigger messages_announce_new
after insert on public.messages
referencing new table as inserted
for each statement execute function private.announce_new_messages();

create trigger messages_announce_reply
after update of seq, status on public.messages
for each row
when (new.role = 'assistant' and (new.seq, new.status) is distinct from (old.seq, old.status))
execute function private.announce_reply();

create trigger messages_announce_deleted
after delete on public.messages
referencing old table as deleted
for each statement execute function private.announce_deleted_messages();
