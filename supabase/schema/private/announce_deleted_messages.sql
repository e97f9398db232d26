-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER messages_announce_deleted AFTER DELETE ON public.messages REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION private.announce_deleted_messages()
create or replace function private.announce_deleted_messages() returns trigger
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

comment on function private.announce_deleted_messages() is
'Trigger: message.deleted.';
