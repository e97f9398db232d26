-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.estimate_turn(
  p_conversation_id uuid,
  p_content text,
  p_max_tokens integer,
  p_offer jsonb,
  p_parent_id uuid,
  p_new_beginning boolean
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  -- as in private.admit_turn
  c_output_tokens constant bigint := 131072;
  c_content_characters constant integer := 100000;
  -- as in private.begin_turn
  c_system_tokens constant integer := 32000;

  v_user_id constant uuid := auth.uid();
  v_limits private.limits;
  v_asked public.messages;
  v_conversation public.conversations;
  v_parent public.messages;
  v_output_tokens integer;
  v_passage_tokens integer;
  v_history jsonb;
  v_input bigint;
  v_least bigint;
  v_left record;
  v_now bigint;
  v_most bigint;
  v_usage jsonb;
begin
  if v_user_id is null then
    raise exception using errcode = 'PT401', message = 'unauthenticated', detail = 'A signed-in user is required.';
  end if;
  if char_length(p_content) > c_content_characters then
    raise exception using errcode = 'PT413', message = 'payload_too_large',
      detail = format('A message has at most %s characters.', c_content_characters);
  end if;
  v_limits := private.limits_of(v_user_id);
  perform private.require_premium(v_limits);
  if p_conversation_id is not null then
    perform private.plant_tree(c.id) from public.conversations as c
    where c.id = p_conversation_id and c.user_id = v_user_id;
    select * into v_conversation from public.conversations as c
    where c.id = p_conversation_id and c.user_id = v_user_id;
    if not found then
      raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such conversation.';
    end if;
  end if;
  if p_parent_id is not null then
    select * into v_parent from public.messages as m
    where m.id = p_parent_id and (m.conversation_id = v_conversation.id) is true;
    if not found then
      raise exception using errcode = 'PT422', message = 'invalid_request',
        detail = 'parent_id: no such message in this conversation.';
    end if;
  end if;

  -- what private.begin_turn would hold
  v_conversation.user_id := v_user_id;
  v_asked.conversation_id := v_conversation.id;
  v_asked.user_id := v_user_id;
  v_asked.content := p_content;
  v_asked.parent_id := case when not p_new_beginning then coalesce(v_parent.id, v_conversation.head_id) end;
  v_input := private.estimate_tokens(p_content)
    + coalesce(private.estimate_tokens(private.instructions_of(v_conversation)), 0)
    + least(greatest(0, coalesce((p_offer ->> 'system_tokens')::integer, 0)), c_system_tokens);
  v_output_tokens := private.output_reserve(p_max_tokens, v_limits.tokens_per_minute);
  v_passage_tokens := case when private.has_passages(v_user_id) then greatest(0, least(
    (p_offer ->> 'passage_tokens')::integer, v_limits.tokens_per_minute / 4,
    v_limits.tokens_per_minute - v_output_tokens - v_input
  )) else 0 end;
  v_history := private.turn_history(
    v_asked, (v_limits.tokens_per_minute - v_output_tokens - v_input - v_passage_tokens)::integer
  );
  v_input := v_input + private.history_tokens(v_history);
  v_least := v_input + v_passage_tokens + v_output_tokens;
  perform private.require_fit(v_limits, v_input, v_least);
  select * into v_left from private.minute_left(v_user_id, v_limits);
  if p_max_tokens is null then
    v_now := v_output_tokens + private.more_output(
      v_limits, c_output_tokens - v_output_tokens, v_least,
      v_limits.tokens_per_minute - v_left.used - v_left.held - v_least, greatest(0, v_left.requests - 1)
    );
    -- in whatever minute it is sent
    v_most := v_output_tokens + private.more_output(
      v_limits, c_output_tokens - v_output_tokens, v_least, v_limits.tokens_per_minute - v_least, 0
    );
  else
    v_now := v_output_tokens;
    v_most := v_output_tokens;
  end if;

  v_usage := private.my_usage();
  return jsonb_build_object(
    'models', private.allowed_models(v_limits, p_offer -> 'models'),
    'prompt_tokens', v_input + v_passage_tokens,
    'messages', jsonb_array_length(v_history) + 1,
    'untitled', v_conversation.title is null,
    'output_tokens', case when v_now < c_output_tokens or p_max_tokens is not null then v_now end,
    'most_output_tokens', case when v_most < c_output_tokens or p_max_tokens is not null then v_most end,
    'embedding_micro_usd', case when v_passage_tokens > 0 then private.query_cost(p_content) else 0 end,
    'left', jsonb_build_object(
      'requests', v_usage -> 'requests', 'tokens', v_usage -> 'tokens', 'budget', v_usage -> 'budget'
    )
  );
end;
$$;

comment on function private.estimate_turn(uuid, text, integer, jsonb, uuid, boolean) is
'See public.estimate_turn.';

grant execute on function private.estimate_turn(uuid, text, integer, jsonb, uuid, boolean) to authenticated;
