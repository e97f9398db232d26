-- Before the code: it names the models of a turn. Replicas of the release before do not, and hold no cost.
alter table private.reservations
add column cost_micro_usd bigint not null default 0 check (cost_micro_usd >= 0);

comment on column private.reservations.cost_micro_usd is
'What the reply may cost at most, held of the budget until it ends.';

create function private.held_micro_usd(p_user_id uuid) returns bigint
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(sum(r.cost_micro_usd), 0)::bigint from private.reservations as r where r.user_id = p_user_id
$$;

comment on function private.held_micro_usd(uuid) is
'What is held of a user''s budget for what has begun.';

create function private.require_budget(p_user_id uuid, p_limits private.limits) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_spent bigint;
  v_held bigint;
begin
  if p_limits.monthly_budget_micro_usd is null then
    return;
  end if;
  -- in one view of the data, or a reply that ends just now would be in neither
  select coalesce(sum(l.cost_micro_usd), 0), private.held_micro_usd(p_user_id) into v_spent, v_held
  from private.usage_ledger as l
  where l.user_id = p_user_id and l.created_at >= private.month_start();
  if v_spent >= p_limits.monthly_budget_micro_usd then
    raise exception using errcode = 'PT402', message = 'budget_exceeded',
      detail = format(
        'This month''s budget is used up; the next one begins on %s.',
        to_char(private.month_start() + interval '1 month', 'YYYY-MM-DD')
      );
  end if;
  if v_spent + v_held >= p_limits.monthly_budget_micro_usd then
    raise exception using errcode = 'PT402', message = 'budget_exceeded',
      detail = 'What is left of this month''s budget is held by replies that are being written, or by documents that are '
      'being indexed; come back when they are done.';
  end if;
end;
$$;

comment on function private.require_budget(uuid, private.limits) is
'Refuses whose budget is used up, or held to its end by what has begun. So what is begun together passes it by one reply '
'at the most. The caller holds the user''s lock.';

drop function private.admit_turn(uuid, uuid, private.limits, integer, integer, timestamptz);

create function private.admit_turn(
  p_user_id uuid,
  p_reply_id uuid,
  p_limits private.limits,
  p_input_tokens integer,
  p_more_tokens integer,
  p_output_tokens integer,
  p_grows boolean,
  p_models jsonb,
  p_expires_at timestamptz
) returns jsonb
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  c_window constant interval := interval '60 seconds';
  -- about the longest reply that any model writes: a reply that may have as much is not limited
  c_output_tokens constant bigint := 131072;
  c_requests constant bigint := 1000;

  v_prompt constant bigint := p_input_tokens::bigint + p_more_tokens;
  v_least constant bigint := v_prompt + p_output_tokens;
  v_step constant interval := private.request_step(p_limits.requests_per_minute);
  v_full_at timestamptz;
  v_used bigint;
  v_held bigint;
  v_output bigint;
  v_oldest timestamptz;
begin
  if p_input_tokens > p_limits.tokens_per_minute then
    raise exception using errcode = 'PT413', message = 'payload_too_large',
      detail = format('The message is about %s tokens; %s a minute are allowed.', p_input_tokens, p_limits.tokens_per_minute);
  end if;
  if v_least > p_limits.tokens_per_minute then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format(
        'max_tokens: the message and its reply may take %s tokens; %s a minute are allowed.',
        v_least, p_limits.tokens_per_minute
      );
  end if;

  -- Requests and tokens, judged and taken in one statement. A meter that is inserted is checked too: it can only be the
  -- first request, which every limit allows, and its tokens are judged before.
  with used as (
    select coalesce(sum(l.tokens), 0) as tokens, min(l.created_at) as oldest
    from private.usage_ledger as l
    where l.user_id = p_user_id and l.kind = 'reply' and l.created_at > clock_timestamp() - c_window
  ), held as (
    select coalesce(sum(r.tokens), 0) as tokens from private.reservations as r where r.user_id = p_user_id
  ), room as (
    -- what this turn leaves of the minute, and the requests that are left of it then
    select
      p_limits.tokens_per_minute - greatest(0, u.tokens) - h.tokens - v_least as tokens,
      least(c_requests, greatest(0, floor(
        extract(epoch from c_window - greatest(interval '0', max(m.full_at) - clock_timestamp()))
        / extract(epoch from v_step)
      ) - 1)) as requests
    from used as u
    cross join held as h
    left join private.meters as m on m.user_id = p_user_id and m.kind = 'turn'
    group by u.tokens, h.tokens
  ), output as (
    -- A reply of unknown length may have half of what is left when every other request of the minute has as much as this
    -- one has at least, and a quarter of the limit stays free for prompts that grow.
    select p_output_tokens + case
      when p_grows then floor(least(
        c_output_tokens - p_output_tokens,
        greatest(0, r.tokens - r.requests * v_least - p_limits.tokens_per_minute / 4) / 2
      ))::bigint
      else 0
    end as tokens
    from room as r
  ), taken as (
    insert into private.meters as m (user_id, kind, full_at)
    select p_user_id, 'turn', clock_timestamp() + v_step
    from room as r
    where r.tokens >= 0
    on conflict (user_id, kind) do update
    set full_at = greatest(m.full_at, clock_timestamp()) + v_step
    where greatest(m.full_at, clock_timestamp()) + v_step <= clock_timestamp() + c_window
    returning m.full_at
  ), reserved as (
    insert into private.reservations (
      reply_id, user_id, prompt_tokens, output_tokens, expires_at, input_tokens, first_model, cost_micro_usd
    )
    select
      p_reply_id, p_user_id, v_prompt, o.tokens, p_expires_at, p_input_tokens, p_models -> 0,
      private.most_expensive(p_models, v_prompt, o.tokens)
    from taken, output as o
  )
  select t.full_at, greatest(0, u.tokens), h.tokens, o.tokens, u.oldest
  into v_full_at, v_used, v_held, v_output, v_oldest
  from used as u
  cross join held as h
  cross join output as o
  left join taken as t on true;

  if v_full_at is null then
    if v_used + v_held + v_least > p_limits.tokens_per_minute then
      perform private.refuse(
        'tokens', p_limits.tokens_per_minute,
        private.tokens_wait(p_user_id, v_used + v_held + v_least - p_limits.tokens_per_minute)
      );
    end if;
    perform private.refuse(
      'requests', p_limits.requests_per_minute,
      (select m.full_at from private.meters as m where m.user_id = p_user_id and m.kind = 'turn')
      + v_step - c_window - clock_timestamp()
    );
  end if;

  return jsonb_build_object(
    'output_tokens', case when v_output < c_output_tokens or not p_grows then v_output end,
    'quotas', jsonb_build_object(
      'requests', private.request_quota(p_limits.requests_per_minute, v_full_at),
      'tokens', private.quota(
        p_limits.tokens_per_minute,
        (p_limits.tokens_per_minute - v_used - v_held - v_prompt - v_output)::integer,
        coalesce(v_oldest + c_window - clock_timestamp(), c_window)
      )
    )
  );
end;
$$;

comment on function private.admit_turn(
  uuid, uuid, private.limits, integer, integer, integer, boolean, jsonb, timestamptz
) is
'Takes one request of the user and holds the tokens and the cost of a reply, or raises rate_limited, or, '
'for what no waiting would admit, payload_too_large or invalid_request. Tokens are those used in the last 60 seconds and '
'those held; p_input_tokens are the message and its history, p_more_tokens the passages in the prompt, '
'p_output_tokens the reply''s, at least, if p_grows: then it may have more while the minute has room. Returns '
'{output_tokens, quotas: {requests, tokens}}: what the reply may have, null where nothing has to limit it. The caller '
'holds the user''s lock.';

create or replace function private.tokens_wait(p_user_id uuid, p_missing bigint) returns interval
language sql
volatile
security invoker
set search_path = ''
as $$
  select coalesce(
    (
      select u.created_at + interval '60 seconds' - clock_timestamp()
      from (
        select l.created_at, sum(l.tokens) over (order by l.created_at, l.reply_id, l.entry) as tokens
        from private.usage_ledger as l
        where
          l.user_id = p_user_id and l.kind = 'reply'
          and l.created_at > clock_timestamp() - interval '60 seconds'
      ) as u
      where u.tokens >= p_missing
      order by u.created_at
      limit 1
    ),
    interval '5 seconds'
  )
$$;

revoke all on function private.held_micro_usd(uuid) from public, anon, authenticated, service_role;
revoke all on function private.require_budget(uuid, private.limits) from public, anon, authenticated, service_role;
revoke all on function private.admit_turn(
  uuid, uuid, private.limits, integer, integer, integer, boolean, jsonb, timestamptz
) from public, anon, authenticated, service_role;
