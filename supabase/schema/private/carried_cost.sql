-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.carried_cost(
  p_user_id uuid,
  p_from timestamp with time zone
) returns bigint
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(sum(c.cost_micro_usd), 0)::bigint
  from private.carried_costs as c
  where c.user_id = p_user_id and c.month >= p_from
$$;

comment on function private.carried_cost(uuid, timestamp with time zone) is
'What a user spent in the months that began then or later, and deleted since.';

grant execute on function private.carried_cost(uuid, timestamp with time zone) to service_role;
