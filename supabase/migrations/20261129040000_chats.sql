-- Before the code: it keeps there what clients call their chats and messages. The release before does not know them.
create table private.chats (
  user_id uuid not null references auth.users (id) on delete cascade,
  chat_id text not null check (char_length(chat_id) between 1 and 255),
  conversation_id uuid not null references public.conversations (id) on delete cascade,
  primary key (user_id, chat_id)
);

comment on table private.chats is
'The conversation that each chat of a user is. A chat''s id is the client''s own: any text, and unique for its user alone.';

create index chats_conversation_id_idx on private.chats (conversation_id);

create table private.chat_messages (
  message_id uuid primary key references public.messages (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  conversation_id uuid not null references public.conversations (id) on delete cascade,
  client_id text not null check (char_length(client_id) between 1 and 255),
  edited boolean not null
);

comment on table private.chat_messages is
'The client''s own id of a user message. All versions of a message that was edited have one.';
comment on column private.chat_messages.edited is 'Whether it was sent as an edit of another version.';

create index chat_messages_client_id_idx on private.chat_messages (conversation_id, client_id);
create index chat_messages_user_id_idx on private.chat_messages (user_id);

alter table private.chats enable row level security;
alter table private.chats force row level security;
alter table private.chat_messages enable row level security;
alter table private.chat_messages force row level security;

create policy "Owners read their chats" on private.chats
for select to authenticated using (user_id = (select auth.uid()));

create policy "Owners read the ids of their messages" on private.chat_messages
for select to authenticated using (user_id = (select auth.uid()));

revoke all on table private.chats, private.chat_messages from public, anon, authenticated, service_role;

create function private.chat_conversation(p_chat_id text) returns uuid
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

revoke all on function private.chat_conversation(text) from public, anon, authenticated, service_role;
grant execute on function private.chat_conversation(text) to authenticated;

create function public.read_chat(
  p_chat_id text,
  p_before bigint default null,
  p_limit integer default 50
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select coalesce(
    public.read_branch(
      private.chat_conversation(p_chat_id), p_before => p_before, p_backward => true, p_limit => p_limit
    ),
    '[]'
  )
$$;

comment on function public.read_chat(text, bigint, integer) is
'The last p_limit messages of the shown branch of the caller''s chat, newest first, of those before the position p_before, as read_branch has them. None where there is no such chat.';

create function public.chat_reply(p_chat_id text) returns jsonb
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

revoke all on function public.read_chat(text, bigint, integer) from public, anon, authenticated, service_role;
revoke all on function public.chat_reply(text) from public, anon, authenticated, service_role;
grant execute on function public.read_chat(text, bigint, integer) to authenticated;
grant execute on function public.chat_reply(text) to authenticated;
