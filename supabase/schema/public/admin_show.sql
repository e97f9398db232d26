-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.admin_show(
  p_email text
) returns jsonb
language sql
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
'A user''s entitlement (plan and valid_until, null without one), the limits that follow from it, and this month''s usage. For the service.';

grant execute on function public.admin_show(text) to service_role;
