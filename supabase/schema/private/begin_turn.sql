-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.begin_turn(
  p_writer uuid,
  p_reply_id uuid,
  p_conversation_id uuid,
  p_content text,
  p_reply_to uuid,
  p_idempotency_key text,
  p_request_hash text,
  p_max_tokens integer,
  p_offer jsonb default null
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_content_characters constant integer := 100000;
  c_live_replies constant integer := 100;

  v_user_id uuid := auth.uid();
  v_asked public.messages;
  v_reply public.messages;
  v_held private.reservations;
  v_target public.messages;
  v_conversation public.conversations;
  v_limits private.limits;
  v_history jsonb;
  v_admitted jsonb;
  v_content_tokens integer;
  v_passage_tokens integer;
  v_output_tokens integer;
  v_models jsonb;
begin
  if v_user_id is null then
    raise exception using errcode = 'PT401', message = 'unauthenticated', detail = 'A signed-in user is required.';
  end if;

  -- a user's turns begin one at a time: keys, versions and the number of live replies are counted without a race
  perform pg_advisory_xact_lock(hashtextextended(v_user_id::text, 0));

  v_limits := private.limits_of(v_user_id);
  v_output_tokens := private.output_reserve(p_max_tokens, v_limits.tokens_per_minute);

  -- the same call once more, because its answer was lost on the way: nothing is begun twice
  select m.* into v_reply
  from private.live_replies as l
  join public.messages as m on m.id = l.message_id
  where l.message_id = p_reply_id and l.user_id = v_user_id and l.writer = p_writer;
  if found then
    select * into strict v_asked from public.messages as m where m.id = v_reply.parent_id;
    select * into strict v_conversation from public.conversations as c where c.id = v_asked.conversation_id;
    select * into v_held from private.reservations as r where r.reply_id = p_reply_id;
    v_history := private.turn_history(
      v_asked, v_held.input_tokens - private.estimate_tokens(v_asked.content)
    );
    return jsonb_build_object(
      'replayed', false, 'user_message', to_jsonb(v_asked), 'message', to_jsonb(v_reply),
      'history', v_history, 'model', v_conversation.model, 'searchable', private.has_passages(v_user_id),
      'models', private.turn_models(v_limits, p_offer, v_conversation.model),
      'output_tokens', nullif(v_held.output_tokens, 131072),
      'passage_tokens', v_held.prompt_tokens - v_held.input_tokens
    );
  end if;

  -- before anything is stored; what was begun before a downgrade stays theirs to read, by its key too
  if not exists (
    select from private.idempotency_keys as k where k.user_id = v_user_id and k.key = p_idempotency_key
  ) then
    perform private.require_premium(v_limits);
  end if;

  if p_reply_to is not null then
    select * into v_target from public.messages as m where m.id = p_reply_to and m.user_id = v_user_id;
    if not found then
      raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such message.';
    end if;
  end if;

  -- with this lock nothing of the conversation can be deleted while the turn begins
  select * into v_conversation from public.conversations as c
  where c.id = coalesce(v_target.conversation_id, p_conversation_id) and c.user_id = v_user_id
  for key share;
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such conversation.';
  end if;

  if p_reply_to is null then
    if p_content is null or p_content !~ '\S' then
      raise exception using errcode = 'PT400', message = 'invalid_request', detail = 'The message is empty.';
    end if;
    if char_length(p_content) > c_content_characters then
      raise exception using errcode = 'PT413', message = 'payload_too_large',
        detail = format('A message has at most %s characters.', c_content_characters);
    end if;
  else
    select * into v_asked from public.messages as m
    where m.id = coalesce(v_target.parent_id, v_target.id) and m.role = 'user';
    if not found then
      raise exception using errcode = 'PT409', message = 'conflict', detail = 'This message answers no user message.';
    end if;
    if v_asked.flagged is not null then
      raise exception using errcode = 'PT422', message = 'content_flagged',
        detail = 'Moderation flagged this message; it is not answered.';
    end if;
  end if;

  -- claimed before anything is charged
  if p_idempotency_key is not null then
    insert into private.idempotency_keys (user_id, key, request_hash, message_id)
    values (v_user_id, p_idempotency_key, coalesce(p_request_hash, ''), p_reply_id)
    on conflict (user_id, key) do nothing;
    if not found then
      return private.replay_turn(p_idempotency_key, p_request_hash);
    end if;
  end if;

  if p_reply_to is not null and exists (
    select from public.messages as m where m.parent_id = v_asked.id and m.status = 'streaming'
  ) then
    raise exception using errcode = 'PT409', message = 'conflict', detail = 'A reply to this message is still streaming.';
  end if;

  if (
    select count(*) from private.live_replies as l
    where l.user_id = v_user_id and l.lease_expires_at > now()
  ) >= c_live_replies then
    raise exception using errcode = 'PT429', message = 'rate_limited', hint = '5',
      detail = format('At most %s replies of a user stream at once.', c_live_replies);
  end if;

  if p_reply_to is null then
    v_asked.conversation_id := v_conversation.id;
    v_asked.user_id := v_user_id;
    v_asked.content := p_content;
  end if;
  v_content_tokens := private.estimate_tokens(v_asked.content);
  perform private.require_budget(v_user_id, v_limits);
  v_models := private.turn_models(v_limits, p_offer, v_conversation.model);
  -- passages give way to the message, and so does the history to both
  v_passage_tokens := case when private.has_passages(v_user_id) then greatest(0, least(
    (p_offer ->> 'passage_tokens')::integer, v_limits.tokens_per_minute / 4,
    v_limits.tokens_per_minute - v_output_tokens - v_content_tokens
  )) else 0 end;
  v_history := private.turn_history(
    v_asked, v_limits.tokens_per_minute - v_output_tokens - v_content_tokens - v_passage_tokens
  );
  v_content_tokens := v_content_tokens + private.history_tokens(v_history);
  v_admitted := private.admit_turn(
    v_user_id, p_reply_id, v_limits, v_content_tokens, v_passage_tokens, v_output_tokens,
    -- only a process that says what it offers keeps its replies as short as they may be
    p_max_tokens is null and p_offer is not null, v_models, clock_timestamp() + private.lease()
  );

  if p_reply_to is null then
    insert into public.messages (conversation_id, user_id, role, content, screened)
    values (
      v_conversation.id, v_user_id, 'user', p_content, not (select s.screen_input from private.settings as s)
    )
    returning * into v_asked;
  end if;

  insert into public.messages (id, conversation_id, user_id, role, status, parent_id, parent_position, version)
  values (
    p_reply_id, v_conversation.id, v_user_id, 'assistant', 'streaming', v_asked.id, v_asked.position,
    case when p_reply_to is null then 1 else (
      select coalesce(max(m.version), 0) + 1 from public.messages as m where m.parent_id = v_asked.id
    ) end
  )
  returning * into v_reply;

  insert into private.live_replies (message_id, user_id, writer, lease_expires_at)
  values (p_reply_id, v_user_id, p_writer, now() + private.lease());

  return jsonb_build_object(
    'replayed', false, 'user_message', to_jsonb(v_asked), 'message', to_jsonb(v_reply),
    'history', v_history, 'model', v_conversation.model, 'quotas', v_admitted -> 'quotas',
    'searchable', private.has_passages(v_user_id),
    'models', v_models, 'output_tokens', v_admitted -> 'output_tokens', 'passage_tokens', v_passage_tokens
  );
end;
$$;

comment on function private.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer, jsonb) is
'Begins a turn for auth.uid(): a new user message, or with p_reply_to another reply to an earlier one. See public.begin_turn.';

grant execute on function private.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer, jsonb) to authenticated;
