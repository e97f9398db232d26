-- What the operator does with the secret key: the settings of the service, plans, and who has which. See app/admin.
create function public.configure_limits(
  p_require_premium boolean,
  p_requests_per_minute integer,
  p_tokens_per_minute integer,
  p_screen_input boolean
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  update private.settings as s
  set
    require_premium = p_require_premium,
    requests_per_minute = p_requests_per_minute,
    tokens_per_minute = p_tokens_per_minute,
    screen_input = p_screen_input
  where s.singleton
  returning to_jsonb(s) - 'singleton'
$$;

comment on function public.configure_limits(boolean, integer, integer, boolean) is
'Sets the limits of every plan that names none of its own. Called by the API at its start with its environment; the '
'last one to start is obeyed. For the service.';

create function private.user_by_email(p_email text) returns uuid
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_user_id uuid;
begin
  select u.id into v_user_id from auth.users as u where u.email = lower(trim(p_email));
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No user has this e-mail address.';
  end if;
  return v_user_id;
end;
$$;

comment on function private.user_by_email(text) is 'The id of the user with this e-mail address, or not_found. For the service.';

create function private.require_plan(p_plan text) returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if not exists (select from private.plans as p where p.plan = p_plan) then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = format(
      'There is no plan %s; there are %s.',
      coalesce(p_plan, 'null'), (select string_agg(p.plan, ', ' order by p.plan) from private.plans as p)
    );
  end if;
end;
$$;

comment on function private.require_plan(text) is 'Refuses a plan that is not in private.plans. For the service.';

create function public.admin_show(p_email text) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'user_id', u.id, 'email', lower(trim(p_email)), 'plan', e.plan, 'valid_until', e.valid_until,
    'limits', to_jsonb(private.limits_of(u.id)), 'month', private.usage_totals(u.id, private.month_start())
  )
  from (select private.user_by_email(p_email) as id) as u
  left join public.entitlements as e on e.user_id = u.id
$$;

comment on function public.admin_show(text) is
'A user''s entitlement (plan and valid_until, null without one), the limits that follow from it, and this month''s usage. '
'For the service.';

create function public.admin_grant(p_email text, p_plan text, p_until timestamptz default null) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
begin
  perform private.require_plan(p_plan);
  insert into public.entitlements as e (user_id, plan, valid_until)
  values (private.user_by_email(p_email), p_plan, p_until)
  on conflict (user_id) do update set plan = excluded.plan, valid_until = excluded.valid_until;
  return public.admin_show(p_email);
end;
$$;

comment on function public.admin_grant(text, text, timestamptz) is
'Gives the user with this e-mail address a plan, until a moment or without end; replaces what they had. '
'Returns public.admin_show. For the service.';

create function public.admin_revoke(p_email text) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
begin
  delete from public.entitlements as e where e.user_id = private.user_by_email(p_email);
  return public.admin_show(p_email);
end;
$$;

comment on function public.admin_revoke(text) is
'Takes the user''s plan away, with effect on the next request. Returns public.admin_show. For the service.';

create function public.admin_limits(p_plan text default null, p_changes jsonb default '{}') returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
begin
  if p_plan is not null then
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
      end;
  end if;
  return jsonb_build_object(
    'settings', (select to_jsonb(s) - 'singleton' from private.settings as s),
    'plans', (select jsonb_agg(to_jsonb(p) order by p.plan) from private.plans as p)
  );
end;
$$;

comment on function public.admin_limits(text, jsonb) is
'Makes or changes a plan when one is named: p_changes may hold premium, requests_per_minute, tokens_per_minute and '
'monthly_budget_micro_usd. Returns {settings, plans}. For the service.';

grant select, update on table private.settings to service_role;
grant select, insert, update on table private.plans to service_role;
grant execute on function private.limits_of(uuid) to service_role;
grant execute on function private.usage_totals(uuid, timestamptz) to service_role;
grant execute on function private.month_start() to service_role;

revoke all on function public.configure_limits(boolean, integer, integer, boolean) from public, anon, authenticated;
revoke all on function private.user_by_email(text) from public, anon, authenticated;
revoke all on function private.require_plan(text) from public, anon, authenticated;
revoke all on function public.admin_show(text) from public, anon, authenticated;
revoke all on function public.admin_grant(text, text, timestamptz) from public, anon, authenticated;
revoke all on function public.admin_revoke(text) from public, anon, authenticated;
revoke all on function public.admin_limits(text, jsonb) from public, anon, authenticated;
grant execute on function public.configure_limits(boolean, integer, integer, boolean) to service_role;
grant execute on function private.user_by_email(text) to service_role;
grant execute on function private.require_plan(text) to service_role;
grant execute on function public.admin_show(text) to service_role;
grant execute on function public.admin_grant(text, text, timestamptz) to service_role;
grant execute on function public.admin_revoke(text) to service_role;
grant execute on function public.admin_limits(text, jsonb) to service_role;
