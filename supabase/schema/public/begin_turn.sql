-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.begin_turn(
  p_writer uuid,
  p_reply_id uuid default gen_random_uuid(),
  p_conversation_id uuid default null,
  p_content text default null,
  p_reply_to uuid default null,
  p_idempotency_key text default null,
  p_request_hash text default null,
  p_max_tokens integer default null,
  p_offer jsonb default null,
  p_parent_id uuid default null,
  p_new_beginning boolean default false
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select private.begin_turn(
    p_writer, p_reply_id, p_conversation_id, p_content, p_reply_to, p_idempotency_key, p_request_hash, p_max_tokens,
    p_offer, p_parent_id, p_new_beginning
  )
$$;

comment on function public.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer, jsonb, uuid, boolean) is
'Begins a turn of the caller: stores the user message after p_parent_id, by default after the head, or with p_new_beginning after none (or takes up the one that p_reply_to answers), a reply row with status streaming and its lease, and returns {replayed, user_message, message, history, model: the conversation''s, untitled, instructions: those of the turn, searchable, quotas: {requests, tokens}, models, output_tokens, passage_tokens}. One request is charged, and tokens and their cost are held: for what is sent with its instructions, for passages, and for p_max_tokens of reply, else for as much as the minute has room for. p_offer, of a server: {models: [{provider, model, known, named, input, cached, output}], best first, others: the same of models that the conversation may prefer, passage_tokens, system_tokens: those of the operator''s system prompt}; models in the answer are those that may answer, with their prices, output_tokens what the reply may have (null: nothing has to limit it), passage_tokens what passages may have. A repeated call with the same p_writer and p_reply_id returns the same turn; one with a known p_idempotency_key returns that turn, replayed. Only the service can write the reply''s text; a turn that no server takes up ends as interrupted when its lease runs out. Errors: PT401 unauthenticated, PT404 not_found, PT400 invalid_request, PT413 payload_too_large, PT409 conflict, PT422 idempotency_mismatch, content_flagged or invalid_request (p_parent_id, p_max_tokens, p_offer), PT403 premium_required, PT402 budget_exceeded, PT429 rate_limited.';

grant execute on function public.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer, jsonb, uuid, boolean) to authenticated;
