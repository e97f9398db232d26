-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.chat_reply(
  p_chat_id text
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'conversation_id', c.id,
    'title', c.title,
    'reply_id', m.id,
    'status', m.status,
    'fresh', m.status = 'streaming' or m.updated_at > now() - interval '5 minutes'
  )
  from public.conversations as c
  left join public.messages as m on m.id = c.head_id and m.role = 'assistant'
  where c.id = private.chat_conversation(p_chat_id)
$$;

comment on function public.chat_reply(text) is
'{conversation_id, title, reply_id, status, fresh} of the caller''s chat: the reply that its shown branch ends with, null where it ends with none, and whether it is being written or was within the last 5 minutes. Null where there is no such chat.';

grant execute on function public.chat_reply(text) to authenticated;
