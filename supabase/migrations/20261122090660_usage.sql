-- What replies use: tokens held while a reply is written, and the ledger of what it took. See docs/decisions/0008-limits.md.
create table private.reservations (
  reply_id uuid primary key,
  user_id uuid not null,
  prompt_tokens integer not null check (prompt_tokens >= 0),
  output_tokens integer not null check (output_tokens >= 0),
  tokens bigint not null generated always as (prompt_tokens::bigint + output_tokens) stored,
  expires_at timestamptz not null
);

comment on table private.reservations is
'Tokens held for replies being written. No foreign key: a reply that is deleted while it is written is paid for all the same.';
comment on column private.reservations.expires_at is
'From then on a reservation whose reply has no lease is released by recover_replies.';

create index reservations_user_id_idx on private.reservations (user_id) include (tokens);
create index reservations_expires_at_idx on private.reservations (expires_at);

create table private.usage_ledger (
  reply_id uuid not null,
  entry integer not null check (entry >= 1),
  user_id uuid not null,
  provider text,
  model text,
  prompt_tokens integer not null,
  completion_tokens integer not null,
  cached_tokens integer not null,
  cost_micro_usd bigint,
  tokens bigint not null generated always as (prompt_tokens::bigint + completion_tokens) stored,
  created_at timestamptz not null default clock_timestamp(),
  primary key (reply_id, entry)
);

comment on table private.usage_ledger is
'What each reply used; the sum of its entries counts. Only ever appended to, and kept when the reply, its conversation or '
'its user is deleted: it holds no text, and the limits and bills that stand on it must not go away with them.';
comment on column private.usage_ledger.entry is
'From 1. A second entry is the difference to what recovery had estimated, when the writer comes back after all.';
comment on column private.usage_ledger.cached_tokens is 'The part of prompt_tokens that the provider read from its cache.';
comment on column private.usage_ledger.cost_micro_usd is 'By the catalog''s prices; null when the price is not known.';

create index usage_ledger_user_id_created_at_idx on private.usage_ledger (user_id, created_at)
include (tokens, cost_micro_usd);

create function private.estimate_tokens(p_text text) returns integer
language sql
immutable
security invoker
set search_path = ''
-- bytes, not characters: scripts other than Latin take more tokens a character
as $$ select (octet_length(p_text) + 3) / 4 $$;

comment on function private.estimate_tokens(text) is
'About how many tokens a text is, where no provider has counted; the same estimate as in app/chat/prompt.py.';

create function private.month_start() returns timestamptz
language sql
stable
security invoker
set search_path = ''
as $$ select date_trunc('month', now(), 'UTC') $$;

comment on function private.month_start() is 'When the current budget month began.';

create function private.output_reserve(p_max_tokens integer, p_tokens_per_minute integer) returns integer
language sql
immutable
security invoker
set search_path = ''
as $$
  select case
    when p_max_tokens is null then least(1024, greatest(1, p_tokens_per_minute / 10))
    else greatest(1, p_max_tokens)
  end
$$;

comment on function private.output_reserve(integer, integer) is
'Tokens to hold for a reply''s text: all it may have, or when nobody says 1,024 and at most a tenth of the limit: '
'so that by default a minute''s requests may all be answered at once.';

create function private.admit_turn(
  p_user_id uuid,
  p_reply_id uuid,
  p_limits private.limits,
  p_prompt_tokens integer,
  p_output_tokens integer,
  p_expires_at timestamptz
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

comment on function private.admit_turn(uuid, uuid, private.limits, integer, integer, timestamptz) is
'Takes one request of the user and holds the tokens for a reply, or raises rate_limited, budget_exceeded, or, for what no '
'waiting would admit, payload_too_large or invalid_request. Tokens are those used in the last 60 seconds and those held. '
'Returns {requests, tokens}, each a private.quota. The caller holds the user''s lock.';

create function private.tokens_wait(p_user_id uuid, p_missing bigint) returns interval
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
        where l.user_id = p_user_id and l.created_at > clock_timestamp() - interval '60 seconds'
      ) as u
      where u.tokens >= p_missing
      order by u.created_at
      limit 1
    ),
    interval '5 seconds'
  )
$$;

comment on function private.tokens_wait(uuid, bigint) is
'How long until so many of the tokens used in the last minute are more than a minute old. When even all of them would not '
'do, what is missing is held by replies that are being written, whose end nobody knows: then 5 seconds.';

create function private.settle(p_replies jsonb) returns void
language sql
volatile
security invoker
set search_path = ''
as $$
  insert into private.usage_ledger (
    reply_id, entry, user_id, provider, model, prompt_tokens, completion_tokens, cached_tokens, cost_micro_usd
  )
  select
    f.id, coalesce(e.entries, 0) + 1, coalesce(f.user_id, v.user_id), f.provider, f.model,
    f.prompt_tokens - coalesce(e.prompt_tokens, 0),
    f.completion_tokens - coalesce(e.completion_tokens, 0),
    coalesce(f.cached_tokens, 0) - coalesce(e.cached_tokens, 0),
    f.cost_micro_usd - coalesce(e.cost_micro_usd, 0)
  from jsonb_to_recordset(p_replies) as f (
    id uuid, user_id uuid, provider text, model text,
    prompt_tokens integer, completion_tokens integer, cached_tokens integer, cost_micro_usd bigint
  )
  left join private.reservations as v on v.reply_id = f.id
  left join lateral (
    select
      count(*)::integer as entries,
      sum(l.prompt_tokens)::integer as prompt_tokens,
      sum(l.completion_tokens)::integer as completion_tokens,
      sum(l.cached_tokens)::integer as cached_tokens,
      sum(l.cost_micro_usd)::bigint as cost_micro_usd
    from private.usage_ledger as l
    where l.reply_id = f.id
  ) as e on true
  where
    coalesce(f.user_id, v.user_id) is not null
    and f.prompt_tokens is not null
    and f.completion_tokens is not null
    and (f.prompt_tokens, f.completion_tokens, coalesce(f.cached_tokens, 0), coalesce(f.cost_micro_usd, 0)) is distinct from (
      coalesce(e.prompt_tokens, 0), coalesce(e.completion_tokens, 0), coalesce(e.cached_tokens, 0),
      coalesce(e.cost_micro_usd, 0)
    );

  delete from private.reservations as v
  using jsonb_to_recordset(p_replies) as f (id uuid)
  where v.reply_id = f.id;
$$;

comment on function private.settle(jsonb) is
'Enters what replies [{id, user_id, provider, model, prompt_tokens, completion_tokens, cached_tokens, cost_micro_usd}] used '
'and releases what was held for them. Only the difference to earlier entries is entered, so a repeated call changes '
'nothing; of two calls at the same time for one reply, one fails at the primary key and is repeated by its caller.';

revoke all on table private.reservations, private.usage_ledger from public, anon, authenticated, service_role;
-- update: for locking what recovery releases
grant select, update, delete on table private.reservations to service_role;
-- never update or delete: the ledger is append-only for the service too
grant select, insert on table private.usage_ledger to service_role;

revoke all on function private.estimate_tokens(text) from public, anon, authenticated, service_role;
revoke all on function private.month_start() from public, anon, authenticated, service_role;
revoke all on function private.output_reserve(integer, integer) from public, anon, authenticated, service_role;
revoke all on function private.admit_turn(uuid, uuid, private.limits, integer, integer, timestamptz)
from public, anon, authenticated, service_role;
revoke all on function private.tokens_wait(uuid, bigint) from public, anon, authenticated, service_role;
revoke all on function private.settle(jsonb) from public, anon, authenticated, service_role;
grant execute on function private.estimate_tokens(text) to service_role;
grant execute on function private.settle(jsonb) to service_role;
