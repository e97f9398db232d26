-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.require_plan(
  p_plan text
) returns void
language plpgsql
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

comment on function private.require_plan(text) is
'Refuses a plan that is not in private.plans. For the service.';

grant execute on function private.require_plan(text) to service_role;
