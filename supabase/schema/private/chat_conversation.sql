-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.chat_conversation(
  p_chat_id text
) returns uuid
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce(
    (select c.conversation_id from private.chats as c where c.user_id = auth.uid() and c.chat_id = p_chat_id),
    -- a conversation of theirs is a chat under its own id; another user's is nothing
    (select c.id from public.conversations as c where c.id = private.as_uuid(lower(p_chat_id)) and c.user_id = auth.uid())
  )
$$;

comment on function private.chat_conversation(text) is
'The conversation that a chat of auth.uid() is; null where there is none yet.';

grant execute on function private.chat_conversation(text) to authenticated;
