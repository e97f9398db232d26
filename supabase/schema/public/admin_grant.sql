-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.admin_grant(
  p_email text,
  p_plan text,
  p_until timestamp with time zone default null
) returns jsonb
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

comment on function public.admin_grant(text, text, timestamp with time zone) is
'Gives the user with this e-mail address a plan, until a moment or without end; replaces what they had. Returns public.admin_show. For the service.';

grant execute on function public.admin_grant(text, text, timestamp with time zone) to service_role;
