-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.admin_revoke(
  p_email text
) returns jsonb
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

grant execute on function public.admin_revoke(text) to service_role;
