-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.begin_chat_turn(
  p_writer uuid,
  p_chat_id text,
  p_reply_id uuid default gen_random_uuid(),
  p_message_id text default null,
  p_content text default null,
  p_regenerate boolean default false,
  p_edited boolean default false,
  p_target_id text default null,
  p_seen text[] default null,
  p_idempotency_key text default null,
  p_request_hash text default null,
  p_max_tokens integer default null,
  p_offer jsonb default null
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select private.begin_chat_turn(
    p_writer, p_reply_id, p_chat_id, p_message_id, p_content, p_regenerate, p_edited, p_target_id, p_seen,
    p_idempotency_key, p_request_hash, p_max_tokens, p_offer
  )
$$;

comment on function public.begin_chat_turn(uuid, text, uuid, text, text, boolean, boolean, text, text[], text, text, integer, jsonb) is
'begin_turn for a chat of the caller, which is a conversation under an id of the client''s; the first message creates it. p_message_id, the client''s own id or ours, and p_content are the message to be answered. New, it follows the first of p_seen that is known, else the head; with other words than before, it is another version of it; with the same words its newest reply is returned, replayed, or with p_regenerate there is another reply, unless the newest is still streaming, which is returned as busy: stop it and call again. p_edited: it is sent as an edit, also where the words are the same. p_target_id: with p_regenerate the reply that is to be replaced, which is done once. Returns what begin_turn does and the title of the conversation. Errors: those of begin_turn; PT404 not_found: nothing of the chat is there to be answered again.';

grant execute on function public.begin_chat_turn(uuid, text, uuid, text, text, boolean, boolean, text, text[], text, text, integer, jsonb) to authenticated;
