-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.admin_delete_plan(
  p_plan text
) returns jsonb
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
'Deletes a plan that nobody has now; refused while somebody does, and for free. An entitlement that has expired stays as it is: it gives nothing, with or without its plan. Returns {deleted}. For the service.';

grant execute on function public.admin_delete_plan(text) to service_role;
