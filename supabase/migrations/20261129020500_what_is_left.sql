-- Before the code: what private.admit_turn judges a turn by, in functions that an estimate asks too. It judges as before.
create function private.require_fit(
  p_limits private.limits,
  p_input_tokens bigint,
  p_least bigint
) returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if p_input_tokens > p_limits.tokens_per_minute then
    raise exception using errcode = 'PT413', message = 'payload_too_large',
      detail = format('The message is about %s tokens; %s a minute are allowed.', p_input_tokens, p_limits.tokens_per_minute);
  end if;
  if p_least > p_limits.tokens_per_minute then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format(
        'max_tokens: the message and its reply may take %s tokens; %s a minute are allowed.',
        p_least, p_limits.tokens_per_minute
      );
  end if;
end;
$$;

comment on function private.require_fit(private.limits, bigint, bigint) is
'Refuses what no waiting would admit, as payload_too_large or invalid_request: a message of p_input_tokens, or a turn that takes p_least tokens.';

create function private.minute_left(
  p_user_id uuid,
  p_limits private.limits
) returns table (
  used bigint,
  held bigint,
  oldest timestamptz,
  requests bigint
)
language sql
security invoker
set search_path = ''
as $$
  select
    greatest(0, coalesce(u.tokens, 0)), h.tokens, u.oldest,
    greatest(0, floor(
      extract(epoch from interval '60 seconds' - greatest(interval '0', m.full_at - clock_timestamp()))
      / extract(epoch from private.request_step(p_limits.requests_per_minute))
    ))::bigint
  from (
    select sum(l.tokens)::bigint as tokens, min(l.created_at) as oldest
    from private.usage_ledger as l
    where l.user_id = p_user_id and l.kind = 'reply' and l.created_at > clock_timestamp() - interval '60 seconds'
  ) as u
  cross join (
    select coalesce(sum(r.tokens), 0)::bigint as tokens from private.reservations as r where r.user_id = p_user_id
  ) as h
  cross join (
    select max(t.full_at) as full_at from private.meters as t where t.user_id = p_user_id and t.kind = 'turn'
  ) as m
$$;

comment on function private.minute_left(uuid, private.limits) is
'What a user''s turns have taken of the minute: the tokens used in the last 60 seconds, since when, those that are held, and how many requests are left.';

create function private.more_output(
  p_limits private.limits,
  p_most bigint,
  p_least bigint,
  p_tokens bigint,
  p_requests bigint
) returns bigint
language sql
immutable
security invoker
set search_path = ''
as $$
  select floor(least(
    p_most, greatest(0, p_tokens - least(1000, p_requests) * p_least - p_limits.tokens_per_minute / 4) / 2
  ))::bigint
$$;

comment on function private.more_output(private.limits, bigint, bigint, bigint, bigint) is
'What a reply of unknown length may have beside the least, at most p_most: half of what is left of the p_tokens of a minute when each of its further p_requests takes p_least too and a quarter of the limit stays free for prompts that grow.';

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

revoke all on function private.require_fit(private.limits, bigint, bigint)
from public, anon, authenticated, service_role;
revoke all on function private.minute_left(uuid, private.limits) from public, anon, authenticated, service_role;
revoke all on function private.more_output(private.limits, bigint, bigint, bigint, bigint)
from public, anon, authenticated, service_role;
