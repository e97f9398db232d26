-- Before the code: it charges the time that reading a file takes. The release before does not call it.
create function private.charge_reading(p_user_id uuid, p_seconds integer) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_step constant interval := private.request_step((private.limits_of(p_user_id)).requests_per_minute) * p_seconds;
begin
  if p_seconds is null or p_seconds < 1 then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'p_seconds: a number from 1.';
  end if;
  -- also beyond the minute: what was spent is spent, and the next document waits for it
  insert into private.meters as m (user_id, kind, full_at)
  select u.id, 'document', clock_timestamp() + v_step
  from auth.users as u
  where u.id = p_user_id
  on conflict (user_id, kind) do update set full_at = greatest(m.full_at, clock_timestamp()) + v_step;
  return found;
end;
$$;

comment on function private.charge_reading(uuid, integer) is 'See public.charge_reading.';

create function public.charge_reading(p_user_id uuid, p_seconds integer) returns boolean
language sql
security invoker
set search_path = ''
as $$ select private.charge_reading(p_user_id, p_seconds) $$;

comment on function public.charge_reading(uuid, integer) is
'Charges a user a request of kind document for each second that reading a file of theirs took, whatever is left of the '
'minute; false for a user who is gone. For the service.';

revoke all on function private.charge_reading(uuid, integer) from public, anon, authenticated, service_role;
revoke all on function public.charge_reading(uuid, integer) from public, anon, authenticated, service_role;
grant execute on function private.charge_reading(uuid, integer) to service_role;
grant execute on function public.charge_reading(uuid, integer) to service_role;
