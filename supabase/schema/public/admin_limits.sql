-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.admin_limits(
  p_plan text default null,
  p_changes jsonb default '{}'::jsonb
) returns jsonb
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
'Makes or changes a plan when one is named: p_changes may hold premium, requests_per_minute, tokens_per_minute and monthly_budget_micro_usd. Returns {settings, plans}. For the service.';

grant execute on function public.admin_limits(text, jsonb) to service_role;
