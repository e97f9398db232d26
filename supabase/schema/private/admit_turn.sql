-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.admit_turn(
  p_user_id uuid,
  p_reply_id uuid,
  p_limits private.limits,
  p_input_tokens integer,
  p_more_tokens integer,
  p_output_tokens integer,
  p_grows boolean,
  p_models jsonb,
  p_expires_at timestamp with time zone
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_window constant interval := interval '60 seconds';
  -- about the longest reply that any model writes: a reply that may have as much is not limited
  c_output_tokens constant bigint := 131072;

  v_prompt constant bigint := p_input_tokens::bigint + p_more_tokens;
  v_least constant bigint := v_prompt + p_output_tokens;
  v_step constant interval := private.request_step(p_limits.requests_per_minute);
  v_full_at timestamptz;
  v_used bigint;
  v_held bigint;
  v_output bigint;
  v_oldest timestamptz;
begin
  perform private.require_fit(p_limits, p_input_tokens, v_least);

  -- Requests and tokens, judged and taken in one statement. A meter that is inserted is checked too: it can only be the
  -- first request, which every limit allows, and its tokens are judged before.
  with room as (
    select l.*, p_limits.tokens_per_minute - l.used - l.held - v_least as tokens
    from private.minute_left(p_user_id, p_limits) as l
  ), output as (
    select p_output_tokens + case
      when p_grows then private.more_output(
        p_limits, c_output_tokens - p_output_tokens, v_least, r.tokens, greatest(0, r.requests - 1)
      )
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
  select t.full_at, r.used, r.held, o.tokens, r.oldest
  into v_full_at, v_used, v_held, v_output, v_oldest
  from room as r
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

comment on function private.admit_turn(uuid, uuid, private.limits, integer, integer, integer, boolean, jsonb, timestamp with time zone) is
'Takes one request of the user and holds the tokens and the cost of a reply, or raises rate_limited, or, for what no waiting would admit, payload_too_large or invalid_request. Tokens are those used in the last 60 seconds and those held; p_input_tokens are the message and its history, p_more_tokens the passages in the prompt, p_output_tokens the reply''s, at least, if p_grows: then it may have more while the minute has room. Returns {output_tokens, quotas: {requests, tokens}}: what the reply may have, null where nothing has to limit it. The caller holds the user''s lock.';
