-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.entitled(
  p_plan text,
  p_after uuid,
  p_limit integer
) returns table (
  user_id uuid,
  email text,
  plan text,
  valid_until timestamp with time zone,
  expired boolean,
  known boolean
)
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

grant execute on function private.entitled(text, uuid, integer) to service_role;
