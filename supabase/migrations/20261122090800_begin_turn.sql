-- One round trip before the provider is called: the user message, the reply row, the lease, the key and the history.
create function private.turn_history(p_asked public.messages, p_tokens integer) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  -- of each earlier turn the user message and the newest reply with text, newest turns first until a limit is met
  select coalesce(
    jsonb_agg(jsonb_build_object('role', h.role, 'content', h.content) order by h.turn, h.role = 'assistant'), '[]'
  )
  from (
    select
      n.*,
      sum(char_length(n.content)) over (order by n.turn desc, n.role) as characters,
      -- private.estimate_tokens, written out: it is asked a hundred times
      sum((octet_length(n.content) + 3) / 4) over (order by n.turn desc, n.role) as tokens
    from (
      select distinct on (m.turn, m.role) m.turn, m.role, m.content, m.parent_id
      from public.messages as m
      where
        m.conversation_id = p_asked.conversation_id
        and m.user_id = p_asked.user_id
        -- a message that is not stored yet comes after all others
        and (m.turn < p_asked.turn or p_asked.turn is null)
        and m.status <> 'streaming'
        and m.content <> ''
        and m.flagged is null
        and m.screened
      order by m.turn desc, m.role desc, m.position desc
      limit 100
    ) as n
    -- no answer without its question
    where n.parent_id is null or exists (
      select from public.messages as p where p.id = n.parent_id and p.flagged is null and p.screened
    )
  ) as h
  where h.characters <= 400000 and h.tokens <= p_tokens
$$;

comment on function private.turn_history(public.messages, integer) is
'What was said before this user message, oldest first: [{role, content}], at most 100 messages, 400,000 characters and about '
'p_tokens tokens, and nothing that moderation did not let pass. '
'The API trims it further to the model''s context.';

revoke all on function private.turn_history(public.messages, integer) from public, anon, authenticated, service_role;

create function private.history_tokens(p_history jsonb) returns integer
language sql
immutable
security invoker
set search_path = ''
as $$
  select coalesce(sum((octet_length(h.content) + 3) / 4), 0)::integer
  from jsonb_to_recordset(p_history) as h (content text)
$$;

comment on function private.history_tokens(jsonb) is 'About how many tokens a private.turn_history is.';

revoke all on function private.history_tokens(jsonb) from public, anon, authenticated, service_role;

create function private.replay_turn(p_idempotency_key text, p_request_hash text) returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_claim private.idempotency_keys;
  v_asked public.messages;
  v_reply public.messages;
begin
  select * into v_claim from private.idempotency_keys as k
  where k.user_id = auth.uid() and k.key = p_idempotency_key;
  if not found then
    return null;
  end if;
  if v_claim.request_hash <> coalesce(p_request_hash, '') then
    raise exception using errcode = 'PT422', message = 'idempotency_mismatch',
      detail = 'This Idempotency-Key was used with another request.';
  end if;
  select * into strict v_reply from public.messages as m where m.id = v_claim.message_id;
  select * into strict v_asked from public.messages as m where m.id = v_reply.parent_id;
  return jsonb_build_object('replayed', true, 'user_message', to_jsonb(v_asked), 'message', to_jsonb(v_reply));
end;
$$;

comment on function private.replay_turn(text, text) is 'See public.replay_turn.';

revoke all on function private.replay_turn(text, text) from public, anon, service_role;
grant execute on function private.replay_turn(text, text) to authenticated;

create function private.begin_turn(
  p_writer uuid,
  p_reply_id uuid,
  p_conversation_id uuid,
  p_content text,
  p_reply_to uuid,
  p_idempotency_key text,
  p_request_hash text,
  p_max_tokens integer
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
  v_target public.messages;
  v_conversation public.conversations;
  v_limits private.limits;
  v_history jsonb;
  v_quotas jsonb;
  v_content_tokens integer;
  v_output_tokens integer;
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
    return jsonb_build_object(
      'replayed', false, 'user_message', to_jsonb(v_asked), 'message', to_jsonb(v_reply),
      'history', private.turn_history(
        v_asked, v_limits.tokens_per_minute - v_output_tokens - private.estimate_tokens(v_asked.content)
      ),
      'model', (select c.model from public.conversations as c where c.id = v_asked.conversation_id),
      'searchable', exists (
        select from private.passage_counts as c where c.user_id = v_user_id and c.passages > 0
      )
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
  v_history := private.turn_history(v_asked, v_limits.tokens_per_minute - v_output_tokens - v_content_tokens);
  v_quotas := private.admit_turn(
    v_user_id, p_reply_id, v_limits, v_content_tokens + private.history_tokens(v_history), v_output_tokens,
    clock_timestamp() + private.lease()
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
    'history', v_history, 'model', v_conversation.model, 'quotas', v_quotas,
    'searchable', exists (
      select from private.passage_counts as c where c.user_id = v_user_id and c.passages > 0
    )
  );
end;
$$;

comment on function private.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer) is
'Begins a turn for auth.uid(): a new user message, or with p_reply_to another reply to an earlier one. '
'See public.begin_turn.';

revoke all on function private.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer) from public, anon, service_role;
grant execute on function private.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer) to authenticated;

create function public.begin_turn(
  p_writer uuid,
  p_reply_id uuid default gen_random_uuid(),
  p_conversation_id uuid default null,
  p_content text default null,
  p_reply_to uuid default null,
  p_idempotency_key text default null,
  p_request_hash text default null,
  p_max_tokens integer default null
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select private.begin_turn(
    p_writer, p_reply_id, p_conversation_id, p_content, p_reply_to, p_idempotency_key, p_request_hash, p_max_tokens
  )
$$;

comment on function public.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer) is
'Begins a turn of the caller: stores the user message (or takes up the one that p_reply_to answers), a reply row with '
'status streaming and its lease, and returns {replayed, user_message, message, history, model: the conversation''s, '
'quotas: {requests, tokens}}. One request is charged, and tokens are held for what is sent and for p_max_tokens of reply. '
'A repeated call with the same p_writer and p_reply_id returns the same turn; one with a known p_idempotency_key returns '
'that turn, replayed. Only the service can write the reply''s text; a turn that no server takes up ends as interrupted '
'when its lease runs out. '
'Errors: PT401 unauthenticated, PT404 not_found, PT400 invalid_request, PT413 payload_too_large, PT409 conflict, '
'PT422 idempotency_mismatch, content_flagged or invalid_request (p_max_tokens), PT403 premium_required, '
'PT402 budget_exceeded, PT429 rate_limited.';

revoke all on function public.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer) from public, anon, service_role;
grant execute on function public.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer) to authenticated;

create function public.replay_turn(p_idempotency_key text, p_request_hash text) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$ select private.replay_turn(p_idempotency_key, p_request_hash) $$;

comment on function public.replay_turn(text, text) is
'{replayed, user_message, message} of the turn that the caller began under this Idempotency-Key, or null. Begins nothing. '
'Error: PT422 idempotency_mismatch.';

revoke all on function public.replay_turn(text, text) from public, anon, service_role;
grant execute on function public.replay_turn(text, text) to authenticated;
