-- How much a user may ask for: the operator's settings, the plans, and one request meter a user and kind.
create table private.settings (
  singleton boolean primary key default true check (singleton),
  require_premium boolean not null default true,
  requests_per_minute integer not null default 60 check (requests_per_minute > 0),
  tokens_per_minute integer not null default 100000 check (tokens_per_minute > 0),
  screen_input boolean not null default false
);

comment on table private.settings is
'One row: the limits of every plan that names none of its own. The API writes its environment here at its start, so that '
'all replicas and the Data API obey the same numbers.';
comment on column private.settings.screen_input is
'Whether messages count as history only once moderation has let them pass.';
comment on column private.settings.require_premium is 'Whether chat, documents and search need a premium plan.';

insert into private.settings default values;

create table private.plans (
  plan text primary key check (char_length(plan) between 1 and 50),
  premium boolean not null default true,
  requests_per_minute integer check (requests_per_minute > 0),
  tokens_per_minute integer check (tokens_per_minute > 0),
  monthly_budget_micro_usd bigint check (monthly_budget_micro_usd >= 0)
);

comment on table private.plans is
'The plans there are. A null limit is that of private.settings; no monthly budget means none is set. An entitlement that '
'names a plan which is not here gives nothing.';
comment on column private.plans.monthly_budget_micro_usd is 'What a user''s replies may cost in a calendar month (UTC).';

insert into private.plans (plan, premium) values ('free', false), ('premium', true);

create type private.limits as (
  plan text,
  allowed boolean,
  requests_per_minute integer,
  tokens_per_minute integer,
  monthly_budget_micro_usd bigint
);

create function private.limits_of(p_user_id uuid) returns private.limits
language sql
stable
security invoker
set search_path = ''
as $$
  select
    coalesce(p.plan, 'free'),
    not s.require_premium or coalesce(p.premium, false),
    coalesce(p.requests_per_minute, s.requests_per_minute),
    coalesce(p.tokens_per_minute, s.tokens_per_minute),
    p.monthly_budget_micro_usd
  from private.settings as s
  left join public.entitlements as e
    on e.user_id = p_user_id and (e.valid_until is null or e.valid_until > clock_timestamp())
  left join private.plans as p on p.plan = coalesce(e.plan, 'free')
$$;

comment on function private.limits_of(uuid) is
'What a user may do now. `allowed`: premium, or premium is not required. Only the entitlement counts, never a claim of the token.';

create function private.require_premium(p_limits private.limits) returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  if not p_limits.allowed then
    raise exception using errcode = 'PT403', message = 'premium_required', detail = 'This needs a premium plan.';
  end if;
end;
$$;

comment on function private.require_premium(private.limits) is 'Refuses whom their plan does not allow the gated features.';

-- GCRA (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm): one time a meter says everything.
create table private.meters (
  user_id uuid not null references auth.users (id) on delete cascade,
  kind text not null check (kind in ('turn', 'search', 'document', 'moderation')),
  full_at timestamptz not null,
  primary key (user_id, kind)
)
-- written with every request: room on the page keeps the updates in place
with (fillfactor = 50);

comment on table private.meters is 'Requests a user has spent, by kind; each kind is limited by itself.';
comment on column private.meters.full_at is
'When the whole minute''s allowance is there again. A request moves it on by a minute divided by the limit, at most to a '
'minute from now.';

create function private.request_step(p_limit integer) returns interval
language sql
immutable
security invoker
set search_path = ''
-- rounded down, or the last of p_limit requests at once would not fit the minute; a clock has no less than a microsecond
as $$ select make_interval(secs => greatest(1, floor(60000000.0 / p_limit)) / 1000000) $$;

comment on function private.request_step(integer) is 'The time in which one request of p_limit a minute is regained.';

create function private.quota(p_limit integer, p_remaining integer, p_reset interval) returns jsonb
language sql
immutable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'limit', p_limit,
    'remaining', greatest(0, p_remaining),
    'reset', greatest(0, ceil(extract(epoch from p_reset)))::integer
  )
$$;

comment on function private.quota(integer, integer, interval) is
'{limit, remaining, reset} of a limit a minute, as the API''s headers and GET /v1/usage show it; reset in whole seconds.';

create function private.request_quota(p_limit integer, p_full_at timestamptz) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select private.quota(
    p_limit,
    floor((60 - extract(epoch from t.wait)) / extract(epoch from private.request_step(p_limit)))::integer,
    t.wait
  )
  from (select greatest(p_full_at - clock_timestamp(), interval '0') as wait) as t
$$;

comment on function private.request_quota(integer, timestamptz) is 'private.quota of a request meter that is full at p_full_at.';

create function private.refuse(p_policy text, p_limit integer, p_wait interval) returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_seconds constant integer := greatest(1, ceil(extract(epoch from p_wait)));
begin
  raise exception using errcode = 'PT429', message = 'rate_limited',
    detail = format('At most %s %s a minute; come back in %s s.', p_limit, p_policy, v_seconds),
    hint = jsonb_build_object('policy', p_policy, 'limit', p_limit, 'retry_after', v_seconds);
end;
$$;

comment on function private.refuse(text, integer, interval) is
'Raises rate_limited. The hint is JSON: {policy, limit, retry_after}; a request in retry_after seconds is admitted, '
'unless another one was faster.';

revoke all on table private.settings, private.plans, private.meters from public, anon, authenticated, service_role;
revoke all on function private.limits_of(uuid) from public, anon, authenticated, service_role;
revoke all on function private.require_premium(private.limits) from public, anon, authenticated, service_role;
revoke all on function private.request_step(integer) from public, anon, authenticated, service_role;
revoke all on function private.quota(integer, integer, interval) from public, anon, authenticated, service_role;
revoke all on function private.request_quota(integer, timestamptz) from public, anon, authenticated, service_role;
revoke all on function private.refuse(text, integer, interval) from public, anon, authenticated, service_role;
