-- Before the code: it says which models it may ask, and what they cost. The release before does not name p_offer.
drop function public.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer);
drop function private.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer);

create function private.has_passages(p_user_id uuid) returns boolean
language sql
stable
security invoker
set search_path = ''
as $$ select exists (select from private.passage_counts as c where c.user_id = p_user_id and c.passages > 0) $$;

comment on function private.has_passages(uuid) is 'Whether a user has passages that a search may find.';

create function private.require_model(p_limits private.limits, p_offer jsonb) returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  c_named constant integer := 20;

  v_allowed constant jsonb := private.allowed_models(p_limits, p_offer -> 'models');
  v_others jsonb;
  v_named text;
begin
  if jsonb_path_exists(v_allowed, '$[*] ? (@.named == true)') then
    return v_allowed;
  end if;
  select m.provider || '/' || m.model into v_named
  from jsonb_to_recordset(p_offer -> 'models') as m (provider text, model text, named boolean)
  where m.named
  limit 1;
  -- the one that is named cannot answer now: another one does
  if v_named is null and v_allowed <> '[]' then
    return v_allowed;
  end if;
  v_others := private.allowed_models(p_limits, (p_offer -> 'models') || coalesce(p_offer -> 'others', '[]'));
  raise exception using errcode = 'PT422', message = 'invalid_request', detail = format(
    'model: the plan %s does not allow %s%s. Available: %s.',
    p_limits.plan, coalesce(v_named, 'any model that can answer now'),
    case
      when p_limits.monthly_budget_micro_usd is not null then ', or it has no price, which a plan with a budget needs'
      when p_limits.models is null then ', which has no known price'
      else ''
    end,
    coalesce(
      (
        select string_agg(a.name, ', ' order by a.place)
        from (
          select m.provider || '/' || coalesce(m.model, '*') as name, min(m.place) as place
          from rows from (jsonb_to_recordset(v_others) as (provider text, model text)) with ordinality
            as m (provider, model, place)
          group by 1
          order by 2
          limit c_named
        ) as a
      ),
      array_to_string(p_limits.models[1:c_named], ', '),
      'none'
    )
  );
end;
$$;

comment on function private.require_model(private.limits, jsonb) is
'The models of an offer {models, others} that may answer under these limits, best first: see private.allowed_models. '
'Refuses a turn that names a model which may not, or whose models all may not, and says which may.';

create function private.preferred_model(p_limits private.limits, p_offer jsonb, p_model text) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select private.allowed_models(p_limits, coalesce(jsonb_agg(o.model), '[]'))
  from (
    -- an entry without a model is any of its provider's
    select m.model || jsonb_build_object('model', p_model) as model
    from jsonb_array_elements(coalesce(p_offer -> 'others', '[]')) as m (model)
    where coalesce(m.model ->> 'model', p_model) = p_model
    union all
    -- one that only the operator knows
    select to_jsonb(p)
    from private.model_prices as p
    where p.model = p_model and not jsonb_path_exists(
      p_offer, '$.others[*] ? (@.provider == $provider && @.model == $model)', to_jsonb(p)
    )
  ) as o
$$;

comment on function private.preferred_model(private.limits, jsonb, text) is
'The model that a conversation prefers, as the offer''s others and the operator''s prices know it, if it may answer.';

create function private.turn_models(p_limits private.limits, p_offer jsonb, p_preferred text) returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_preferred jsonb := '[]';
begin
  if p_offer is null then
    return '[]';
  end if;
  if p_preferred is not null and not jsonb_path_exists(p_offer, '$.models[*] ? (@.named == true)') then
    v_preferred := private.preferred_model(p_limits, p_offer, p_preferred);
  end if;
  if v_preferred = '[]' then
    return private.require_model(p_limits, p_offer);
  end if;
  return v_preferred || private.allowed_models(p_limits, p_offer -> 'models');
end;
$$;

comment on function private.turn_models(private.limits, jsonb, text) is
'The models that may answer a turn, best first: the one that its conversation prefers, where the request names none, then '
'those of the offer. Raises what private.require_model raises.';

create function private.begin_turn(
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
volatile
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

create function public.begin_turn(
  p_writer uuid,
  p_reply_id uuid default gen_random_uuid(),
  p_conversation_id uuid default null,
  p_content text default null,
  p_reply_to uuid default null,
  p_idempotency_key text default null,
  p_request_hash text default null,
  p_max_tokens integer default null,
  p_offer jsonb default null
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select private.begin_turn(
    p_writer, p_reply_id, p_conversation_id, p_content, p_reply_to, p_idempotency_key, p_request_hash, p_max_tokens,
    p_offer
  )
$$;

comment on function public.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer, jsonb) is
'Begins a turn of the caller: stores the user message (or takes up the one that p_reply_to answers), a reply row with '
'status streaming and its lease, and returns {replayed, user_message, message, history, model: the conversation''s, '
'searchable, quotas: {requests, tokens}, models, output_tokens, passage_tokens}. One request is charged, and tokens and '
'their cost are held: for what is sent, for passages, and for p_max_tokens of reply, else for as much as the minute has '
'room for. p_offer, of a server: {models: [{provider, model, known, named, input, cached, output}], best first, others: '
'the same of models that the conversation may prefer, passage_tokens}; models in the answer are those that may answer, '
'with their prices, output_tokens what the reply may have (null: nothing has to limit it), passage_tokens what passages '
'may have. A repeated call with the same p_writer and p_reply_id returns the same turn; one with a known '
'p_idempotency_key returns that turn, replayed. Only the service can write the reply''s text; a turn that no server takes '
'up ends as interrupted when its lease runs out. Errors: PT401 unauthenticated, PT404 not_found, PT400 invalid_request, '
'PT413 payload_too_large, PT409 conflict, PT422 idempotency_mismatch, content_flagged or invalid_request (p_max_tokens, '
'p_offer), PT403 premium_required, PT402 budget_exceeded, PT429 rate_limited.';

comment on function private.output_reserve(integer, integer) is
'Tokens to hold for a reply at least: all it may have, or when nobody says 1,024 and at most a tenth of the limit: so '
'that by default a minute''s requests may all be answered at once. See private.admit_turn for how it grows.';

revoke all on function private.has_passages(uuid) from public, anon, authenticated, service_role;
revoke all on function private.require_model(private.limits, jsonb) from public, anon, authenticated, service_role;
revoke all on function private.preferred_model(private.limits, jsonb, text) from public, anon, authenticated, service_role;
revoke all on function private.turn_models(private.limits, jsonb, text) from public, anon, authenticated, service_role;
revoke all on function private.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer, jsonb)
from public, anon, service_role;
revoke all on function public.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer, jsonb)
from public, anon, service_role;
grant execute on function private.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer, jsonb) to authenticated;
grant execute on function public.begin_turn(uuid, uuid, uuid, text, uuid, text, text, integer, jsonb) to authenticated;
