-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.require_premium(
  p_limits private.limits
) returns void
language plpgsql
security invoker
set search_path = ''
as $$
begin
  if not p_limits.allowed then
    raise exception using errcode = 'PT403', message = 'premium_required', detail = 'This needs a premium plan.';
  end if;
end;
$$;

comment on function private.require_premium(private.limits) is
'Refuses whom their plan does not allow the gated features.';
