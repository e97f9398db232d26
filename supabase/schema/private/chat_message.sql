-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.chat_message(
  p_conversation_id uuid,
  p_id text
) returns public.messages
language sql
stable
security definer
set search_path = ''
as $$
  select m.*
  from public.messages as m
  where m.conversation_id = p_conversation_id and m.user_id = auth.uid()
  and (
    m.id = private.as_uuid(lower(p_id))
    or m.id in (
      select k.message_id from private.chat_messages as k
      where k.conversation_id = p_conversation_id and k.client_id = p_id
    )
  )
  order by m.position desc
  limit 1
$$;

comment on function private.chat_message(uuid, text) is
'The message of auth.uid() that a client calls by this id, of several versions the newest. Its own id is one that a client may use.';
