-- Before the code: a message of any role may follow another one. The release before neither reads nor writes the new columns.
-- message_count is null in a conversation whose messages are still as the release before wrote them, without a tree.
set local lock_timeout = '2s';

alter table public.messages drop constraint messages_check;
alter table public.messages
add constraint messages_status_of_role_check check (role = 'assistant' or status = 'complete') not valid;
alter table public.messages add constraint messages_parent_check check (parent_id <> id) not valid;

alter table public.conversations
add column head_id uuid,
add column last_message_at timestamptz not null default '-infinity',
add column preview text,
add column message_count integer;
alter table public.conversations alter column last_message_at set default now();
alter table public.conversations
add constraint conversations_preview_check check (char_length(preview) <= 200) not valid,
add constraint conversations_message_count_check check (message_count >= 0) not valid;

comment on column public.messages.parent_id is
'The message that this one follows: a reply''s is the user message that it answers. Null begins the conversation anew.';
comment on column public.messages.version is 'Counts the messages that follow one message, from 1.';
comment on column public.messages.turn is 'Position of the user message that opened the turn. Read by no newer release than 0.1.0.';
comment on column public.conversations.head_id is
'The last message of the branch that is shown and continued; null in a conversation without messages. Kept by triggers on messages.';
comment on column public.conversations.last_message_at is
'When the newest message was sent, or the conversation created. It does not go back when messages are deleted.';
comment on column public.conversations.preview is 'The last text of the shown branch, its first 200 characters.';
comment on column public.conversations.message_count is
'How many messages there are on all branches. Null until private.plant_tree has taken over the messages of release 0.1.0.';
