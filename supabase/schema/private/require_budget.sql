-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.require_budget(
  p_user_id uuid,
  p_limits private.limits
) returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_spent bigint;
  v_held bigint;
begin
  if p_limits.monthly_budget_micro_usd is null then
    return;
  end if;
  -- in one view of the data, or a reply that ends just now would be in neither
  select
    coalesce(sum(l.cost_micro_usd), 0) + private.carried_cost(p_user_id, private.month_start()),
    private.held_micro_usd(p_user_id)
  into v_spent, v_held
  from private.usage_ledger as l
  where l.user_id = p_user_id and l.created_at >= private.month_start();
  if v_spent >= p_limits.monthly_budget_micro_usd then
    raise exception using errcode = 'PT402', message = 'budget_exceeded',
      detail = format(
        'This month''s budget is used up; the next one begins on %s.',
        to_char(private.month_start() + interval '1 month', 'YYYY-MM-DD')
      );
  end if;
  if v_spent + v_held >= p_limits.monthly_budget_micro_usd then
    raise exception using errcode = 'PT402', message = 'budget_exceeded',
      detail = 'What is left of this month''s budget is held by replies that are being written, or by documents that are '
      'being indexed; come back when they are done.';
  end if;
end;
$$;

comment on function private.require_budget(uuid, private.limits) is
'Refuses whose budget is used up, or held to its end by what has begun. So what is begun together passes it by one reply at the most. The caller holds the user''s lock.';
