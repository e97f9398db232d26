-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.admit_turn(
  p_user_id uuid,
  p_reply_id uuid,
  p_limits private.limits,
  p_prompt_tokens integer,
  p_output_tokens integer,
  p_expires_at timestamp with time zone
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_window constant interval := interval '60 seconds';
  v_cost constant bigint := p_prompt_tokens::bigint + p_output_tokens;
  v_step constant interval := private.request_step(p_limits.requests_per_minute);
  v_full_at timestamptz;
  v_used bigint;
  v_held bigint;
  v_oldest timestamptz;
begin
  if p_prompt_tokens > p_limits.tokens_per_minute then
    raise exception using errcode = 'PT413', message = 'payload_too_large',
      detail = format('The message is about %s tokens; %s a minute are allowed.', p_prompt_tokens, p_limits.tokens_per_minute);
  end if;
  if v_cost > p_limits.tokens_per_minute then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format(
        'max_tokens: the message and its reply may take %s tokens; %s a minute are allowed.',
        v_cost, p_limits.tokens_per_minute
      );
  end if;
  if p_limits.monthly_budget_micro_usd <= (
    select coalesce(sum(l.cost_micro_usd), 0) from private.usage_ledger as l
    where l.user_id = p_user_id and l.created_at >= private.month_start()
  ) then
    raise exception using errcode = 'PT402', message = 'budget_exceeded',
      detail = format(
        'This month''s budget is used up; the next one begins on %s.',
        to_char(private.month_start() + interval '1 month', 'YYYY-MM-DD')
      );
  end if;

  -- Requests and tokens, judged and taken in one statement. A meter that is inserted is checked too: it can only be the
  -- first request, which every limit allows, and its tokens are judged before.
  with used as (
    select coalesce(sum(l.tokens), 0) as tokens, min(l.created_at) as oldest
    from private.usage_ledger as l
    where l.user_id = p_user_id and l.created_at > clock_timestamp() - c_window
  ), held as (
    select coalesce(sum(r.tokens), 0) as tokens from private.reservations as r where r.user_id = p_user_id
  ), taken as (
    insert into private.meters as m (user_id, kind, full_at)
    select p_user_id, 'turn', clock_timestamp() + v_step
    from used as u, held as h
    where greatest(0, u.tokens) + h.tokens + v_cost <= p_limits.tokens_per_minute
    on conflict (user_id, kind) do update
    set full_at = greatest(m.full_at, clock_timestamp()) + v_step
    where greatest(m.full_at, clock_timestamp()) + v_step <= clock_timestamp() + c_window
    returning m.full_at
  ), reserved as (
    insert into private.reservations (reply_id, user_id, prompt_tokens, output_tokens, expires_at)
    select p_reply_id, p_user_id, p_prompt_tokens, p_output_tokens, p_expires_at
    from taken
  )
  select t.full_at, greatest(0, u.tokens), h.tokens, u.oldest
  into v_full_at, v_used, v_held, v_oldest
  from used as u
  cross join held as h
  left join taken as t on true;

  if v_full_at is null then
    if v_used + v_held + v_cost > p_limits.tokens_per_minute then
      perform private.refuse(
        'tokens', p_limits.tokens_per_minute,
        private.tokens_wait(p_user_id, v_used + v_held + v_cost - p_limits.tokens_per_minute)
      );
    end if;
    perform private.refuse(
      'requests', p_limits.requests_per_minute,
      (select m.full_at from private.meters as m where m.user_id = p_user_id and m.kind = 'turn')
      + v_step - c_window - clock_timestamp()
    );
  end if;

  return jsonb_build_object(
    'requests', private.request_quota(p_limits.requests_per_minute, v_full_at),
    'tokens', private.quota(
      p_limits.tokens_per_minute,
      (p_limits.tokens_per_minute - v_used - v_held - v_cost)::integer,
      coalesce(v_oldest + c_window - clock_timestamp(), c_window)
    )
  );
end;
$$;

comment on function private.admit_turn(uuid, uuid, private.limits, integer, integer, timestamp with time zone) is
'Takes one request of the user and holds the tokens for a reply, or raises rate_limited, budget_exceeded, or, for what no waiting would admit, payload_too_large or invalid_request. Tokens are those used in the last 60 seconds and those held. Returns {requests, tokens}, each a private.quota. The caller holds the user''s lock.';
