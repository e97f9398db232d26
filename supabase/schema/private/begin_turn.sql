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
  p_offer jsonb default null,
  p_parent_id uuid default null,
  p_new_beginning boolean default false
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_content_characters constant integer := 100000;
  c_live_replies constant integer := 100;
  c_system_tokens constant integer := 32000;

  v_user_id uuid := auth.uid();
  v_asked public.messages;
  v_reply public.messages;
  v_held private.reservations;
  v_target public.messages;
  v_conversation public.conversations;
  v_seen public.conversations;
  v_parent public.messages;
  v_user_message jsonb;
  v_message jsonb;
  v_limits private.limits;
  v_history jsonb;
  v_admitted jsonb;
  v_content_tokens integer;
  v_instructions text;
  v_system_tokens integer;
  v_passage_tokens integer;
  v_output_tokens integer;
  v_models jsonb;
begin
  if v_user_id is null then
    raise exception using errcode = 'PT401', message = 'unauthenticated', detail = 'A signed-in user is required.';
  end if;

  -- what the caller's device continues is the head of now: two that send at once continue the same one, on two branches
  if p_reply_to is null and p_parent_id is null and not p_new_beginning then
    select * into v_seen from public.conversations as c where c.id = p_conversation_id and c.user_id = v_user_id;
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
    v_instructions := private.instructions_of(v_conversation);
    v_system_tokens := coalesce(private.estimate_tokens(v_instructions), 0)
      + least(greatest(0, coalesce((p_offer ->> 'system_tokens')::integer, 0)), c_system_tokens);
    v_history := private.turn_history(
      v_asked, v_held.input_tokens - v_system_tokens - private.estimate_tokens(v_asked.content)
    );
    return jsonb_build_object(
      'replayed', false, 'user_message', to_jsonb(v_asked), 'message', to_jsonb(v_reply),
      'history', v_history, 'model', v_conversation.model, 'untitled', v_conversation.title is null,
      'instructions', v_instructions,
      'searchable', private.has_passages(v_user_id),
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
    select * into v_target from public.messages as m where m.id = p_reply_to and (m.user_id = v_user_id) is true;
    if not found then
      raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such message.';
    end if;
  end if;

  -- with this lock nothing of the conversation can be deleted while the turn begins
  select * into v_conversation from public.conversations as c
  where c.id = coalesce(v_target.conversation_id, p_conversation_id) and c.user_id = v_user_id
  for no key update;
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such conversation.';
  end if;
  if v_conversation.message_count is null then
    perform private.plant_tree(v_conversation.id);
    select * into v_conversation from public.conversations as c where c.id = v_conversation.id;
    select * into v_target from public.messages as m where m.id = p_reply_to;
  end if;

  if p_reply_to is null then
    if p_content is null or p_content !~ '\S' then
      raise exception using errcode = 'PT400', message = 'invalid_request', detail = 'The message is empty.';
    end if;
    if char_length(p_content) > c_content_characters then
      raise exception using errcode = 'PT413', message = 'payload_too_large',
        detail = format('A message has at most %s characters.', c_content_characters);
    end if;
    if p_parent_id is not null then
      select * into v_parent from public.messages as m
      where m.id = p_parent_id and (m.conversation_id = v_conversation.id) is true;
      if not found then
        raise exception using errcode = 'PT422', message = 'invalid_request',
          detail = 'parent_id: no such message in this conversation.';
      end if;
      if v_parent.role = 'user' and exists (
        select from public.messages as m where m.parent_id = v_parent.id and m.role = 'assistant'
      ) then
        raise exception using errcode = 'PT422', message = 'invalid_request',
          detail = 'parent_id: expected a reply, got a user message that has one; '
          || 'to edit that message, send its own parent_id.';
      end if;
    elsif not p_new_beginning then
      select * into v_parent from public.messages as m
      where m.id = case when v_seen.message_count is null then v_conversation.head_id else v_seen.head_id end;
      -- it has been deleted since
      if not found and v_seen.head_id is not null then
        select * into v_parent from public.messages as m where m.id = v_conversation.head_id;
      end if;
    end if;
  else
    select * into v_asked from public.messages as m
    where m.id = case v_target.role when 'assistant' then v_target.parent_id else v_target.id end and m.role = 'user';
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
    select from public.messages as m
    where m.parent_id = v_asked.id and m.role = 'assistant' and m.status = 'streaming'
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
    v_asked.parent_id := v_parent.id;
  end if;
  v_instructions := private.instructions_of(v_conversation);
  -- what is sent with every message is held, and gives way to nothing
  v_system_tokens := coalesce(private.estimate_tokens(v_instructions), 0)
    + least(greatest(0, coalesce((p_offer ->> 'system_tokens')::integer, 0)), c_system_tokens);
  v_content_tokens := private.estimate_tokens(v_asked.content) + v_system_tokens;
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

  -- both rows in one statement, so that the conversation's row is written, and told, once
  if p_reply_to is null then
    with asked as (
      insert into public.messages (conversation_id, user_id, role, content, screened, parent_id, version)
      values (
        v_conversation.id, v_user_id, 'user', p_content, not (select s.screen_input from private.settings as s),
        v_parent.id, private.next_version(v_conversation.id, v_parent.id)
      )
      returning *
    ), reply as (
      insert into public.messages (id, conversation_id, user_id, role, status, parent_id, parent_position)
      select p_reply_id, a.conversation_id, a.user_id, 'assistant', 'streaming', a.id, a.position
      from asked as a
      returning *
    )
    select to_jsonb(a), to_jsonb(r) into v_user_message, v_message from asked as a cross join reply as r;
  else
    v_user_message := to_jsonb(v_asked);
    insert into public.messages as m (
      id, conversation_id, user_id, role, status, parent_id, parent_position, version
    )
    values (
      p_reply_id, v_conversation.id, v_user_id, 'assistant', 'streaming', v_asked.id, v_asked.position,
      private.next_version(v_conversation.id, v_asked.id)
    )
    returning to_jsonb(m) into v_message;
  end if;

  insert into private.live_replies (message_id, user_id, writer, lease_expires_at)
  values (p_reply_id, v_user_id, p_writer, now() + private.lease());

  return jsonb_build_object(
    'replayed', false, 'user_message', v_user_message, 'message', v_message,
    'history', v_history, 'model', v_conversation.model, 'untitled', v_conversation.title is null,
    'instructions', v_instructions, 'quotas', v_admitted -> 'quotas',
    'searchable', private.has_passages(v_user_id),
    'models', v_models, 'output_tokens', v_admitted -> 'output_tokens', 'passage_tokens', v_passage_tokens
  );
end;
$$;

comment on function private.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer, jsonb, uuid, boolean) is
'Begins a turn for auth.uid(): a new user message, or with p_reply_to another reply to an earlier one. See public.begin_turn.';

grant execute on function private.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer, jsonb, uuid, boolean) to authenticated;
