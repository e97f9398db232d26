-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.limits_of(
  p_user_id uuid
) returns private.limits
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
    p.monthly_budget_micro_usd,
    m.models
  from private.settings as s
  left join public.entitlements as e
    on e.user_id = p_user_id and (e.valid_until is null or e.valid_until > clock_timestamp())
  left join private.plans as p on p.plan = coalesce(e.plan, 'free')
  left join private.plan_models as m on m.plan = p.plan
$$;

comment on function private.limits_of(uuid) is
'What a user may do now. `allowed`: premium, or premium is not required. Only the entitlement counts, never a claim of the token.';

grant execute on function private.limits_of(uuid) to service_role;
