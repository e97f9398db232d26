-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.charge_search(
  p_kind text,
  p_searches integer
) returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_window constant interval := interval '60 seconds';
  v_user_id constant uuid := auth.uid();
  v_limit integer;
  v_step interval;
begin
  -- the owner of the database, and the service
  if v_user_id is null then
    return;
  end if;
  v_limit := least(2147483647, (private.limits_of(v_user_id)).requests_per_minute::bigint * p_searches);
  v_step := private.request_step(v_limit);
  insert into private.meters as m (user_id, kind, full_at)
  values (v_user_id, p_kind, clock_timestamp() + v_step)
  on conflict (user_id, kind) do update
  set full_at = greatest(m.full_at, clock_timestamp()) + v_step
  where greatest(m.full_at, clock_timestamp()) + v_step <= clock_timestamp() + c_window;
  if not found then
    perform private.refuse(
      'requests', v_limit,
      (select m.full_at from private.meters as m where m.user_id = v_user_id and m.kind = p_kind)
      + v_step - c_window - clock_timestamp()
    );
  end if;
end;
$$;

comment on function private.charge_search(text, integer) is
'Charges the caller one search: of kind search, as POST /v1/search does, or of kind lookup, of which there are p_searches for each request a minute: a turn and a search of the API look up several times at most, and were charged before. Raises rate_limited.';

grant execute on function private.charge_search(text, integer) to authenticated;
