-- Plans are made by being changed, never by being read; they can be deleted, and who has which can be listed.
-- Before the code: the older command gets the answers that it knows.
create or replace function private.require_plan(p_plan text) returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- the lock keeps the plan from being deleted before what names it is committed
  perform from private.plans as p where p.plan = p_plan for key share;
  if not found then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = format(
      'There is no plan %s; there are %s.',
      coalesce(p_plan, 'null'), (select string_agg(p.plan, ', ' order by p.plan) from private.plans as p)
    );
  end if;
end;
$$;

create or replace function public.admin_limits(p_plan text default null, p_changes jsonb default '{}') returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_columns constant text[] := array['premium', 'requests_per_minute', 'tokens_per_minute', 'monthly_budget_micro_usd'];
  v_unknown text;
  v_made boolean := false;
begin
  select string_agg(k.key, ', ' order by k.key) into v_unknown
  from jsonb_object_keys(p_changes) as k (key)
  where k.key <> all(c_columns);
  if v_unknown is not null then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = format(
      'p_changes has no %s; it may hold %s.', v_unknown, array_to_string(c_columns, ', ')
    );
  end if;
  if p_changes = '{}' then
    if p_plan is not null then
      perform private.require_plan(p_plan);
    end if;
  elsif p_plan is null then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'p_changes needs a p_plan.';
  else
    insert into private.plans as p (plan, premium, requests_per_minute, tokens_per_minute, monthly_budget_micro_usd)
    select
      p_plan, coalesce(c.premium, true), c.requests_per_minute, c.tokens_per_minute, c.monthly_budget_micro_usd
    from jsonb_to_record(p_changes) as c (
      premium boolean, requests_per_minute integer, tokens_per_minute integer, monthly_budget_micro_usd bigint
    )
    -- a key that is there with null takes the plan's own limit away; one that is not there changes nothing
    on conflict (plan) do update set
      premium = case when p_changes ? 'premium' then excluded.premium else p.premium end,
      requests_per_minute = case
        when p_changes ? 'requests_per_minute' then excluded.requests_per_minute else p.requests_per_minute
      end,
      tokens_per_minute = case
        when p_changes ? 'tokens_per_minute' then excluded.tokens_per_minute else p.tokens_per_minute
      end,
      monthly_budget_micro_usd = case
        when p_changes ? 'monthly_budget_micro_usd' then excluded.monthly_budget_micro_usd
        else p.monthly_budget_micro_usd
      end
    -- a row that was updated carries the lock of the update
    returning p.xmax = 0 into v_made;
  end if;
  return jsonb_build_object(
    'settings', (select to_jsonb(s) - 'singleton' from private.settings as s),
    'plans', (
      select jsonb_agg(
        to_jsonb(p) || jsonb_build_object('users', coalesce(h.users, 0), 'expired', coalesce(h.expired, 0))
        order by p.plan
      )
      from private.plans as p
      left join (
        select
          e.plan,
          count(*) filter (where e.valid_until is null or e.valid_until > clock_timestamp()) as users,
          count(*) filter (where e.valid_until <= clock_timestamp()) as expired
        from public.entitlements as e
        group by e.plan
      ) as h on h.plan = p.plan
      where p_plan is null or p.plan = p_plan
    ),
    'made', v_made
  );
end;
$$;

comment on function public.admin_limits(text, jsonb) is
'The limits of all plans, or of one: {settings, plans, made}, each plan with the number of users who have it now and of those '
'for whom it has expired. p_changes makes or changes that one first: it may hold premium, requests_per_minute, '
'tokens_per_minute and monthly_budget_micro_usd; without it, a plan that does not exist is refused. For the service.';

create function public.admin_delete_plan(p_plan text) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_users bigint;
begin
  -- waits for whoever is granting it
  perform from private.plans as p where p.plan = p_plan for update;
  if not found then
    perform private.require_plan(p_plan);
  end if;
  if p_plan = 'free' then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = 'The plan free cannot be deleted: it is what users without a plan have.';
  end if;
  select count(*) into v_users
  from public.entitlements as e
  where e.plan = p_plan and (e.valid_until is null or e.valid_until > clock_timestamp());
  if v_users > 0 then
    raise exception using errcode = 'PT409', message = 'conflict', detail = format(
      'The plan %s cannot be deleted: %s %s. Grant another one, or revoke it.',
      p_plan, v_users, case when v_users = 1 then 'user has it' else 'users have it' end
    );
  end if;
  delete from private.plans as p where p.plan = p_plan;
  return jsonb_build_object('deleted', p_plan);
end;
$$;

comment on function public.admin_delete_plan(text) is
'Deletes a plan that nobody has now; refused while somebody does, and for free. An entitlement that has expired stays as it '
'is: it gives nothing, with or without its plan. Returns {deleted}. For the service.';

create function private.entitled(p_plan text, p_after uuid, p_limit integer)
returns table (user_id uuid, email text, plan text, valid_until timestamptz, expired boolean, known boolean)
language sql
stable
security definer
set search_path = ''
as $$
  select
    e.user_id, u.email, e.plan, e.valid_until,
    coalesce(e.valid_until <= clock_timestamp(), false),
    exists (select from private.plans as p where p.plan = e.plan)
  from public.entitlements as e
  join auth.users as u on u.id = e.user_id
  where (p_plan is null or e.plan = p_plan) and (p_after is null or e.user_id > p_after)
  order by e.user_id
  limit p_limit
$$;

comment on function private.entitled(text, uuid, integer) is
'Users with an entitlement, by id, after one of them. `known`: their plan exists. For the service.';

create function public.admin_users(p_plan text default null, p_after uuid default null, p_limit integer default 1000)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(jsonb_agg(to_jsonb(e) order by e.user_id), '[]')
  from private.entitled(p_plan, p_after, least(greatest(p_limit, 1), 1000)) as e
$$;

comment on function public.admin_users(text, uuid, integer) is
'A page of at most 1000 users who have a plan, or this one, expired ones included, in the order of their ids: {user_id, email '
'(null without one), plan, valid_until, expired, known}. The next page is after the last user_id. For the service.';

grant delete on table private.plans to service_role;

revoke all on function public.admin_delete_plan(text) from public, anon, authenticated;
revoke all on function private.entitled(text, uuid, integer) from public, anon, authenticated;
revoke all on function public.admin_users(text, uuid, integer) from public, anon, authenticated;
grant execute on function public.admin_delete_plan(text) to service_role;
grant execute on function private.entitled(text, uuid, integer) to service_role;
grant execute on function public.admin_users(text, uuid, integer) to service_role;
