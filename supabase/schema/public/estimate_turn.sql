-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.estimate_turn(
  p_content text,
  p_offer jsonb,
  p_conversation_id uuid default null,
  p_max_tokens integer default null,
  p_parent_id uuid default null,
  p_new_beginning boolean default false
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ 
  select private.estimate_turn(p_conversation_id, p_content, p_max_tokens, p_offer, p_parent_id, p_new_beginning)
$$;

comment on function public.estimate_turn(text, jsonb, uuid, integer, uuid, boolean) is
'What a message of the caller would take if it was sent now, in a conversation after p_parent_id, the head or, with p_new_beginning, nothing, or in a new conversation: {models: those of the offer that may answer, with their prices; prompt_tokens, output_tokens: what public.begin_turn would hold, null: nothing limits it; messages: how many are sent; untitled: whether a title may be made after the reply; most_output_tokens: what the reply may have in any minute; embedding_micro_usd: what the search for passages costs at most; left: {requests, tokens, budget}}. Nothing is charged or held. p_offer {models, passage_tokens, system_tokens} as for public.begin_turn. Errors: PT401 unauthenticated, PT404 not_found, PT413 payload_too_large, PT422 invalid_request (p_max_tokens, parent_id), PT403 premium_required.';

grant execute on function public.estimate_turn(text, jsonb, uuid, integer, uuid, boolean) to authenticated;
