-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.admit_request(
  p_kind text,
  p_charge boolean,
  p_query text default null
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_window constant interval := interval '60 seconds';
  v_user_id constant uuid := auth.uid();
  v_limits private.limits;
  v_step interval;
  v_full_at timestamptz;
  v_cost bigint;
  v_held_id uuid;
begin
  if v_user_id is null then
    raise exception using errcode = 'PT401', message = 'unauthenticated', detail = 'A signed-in user is required.';
  end if;
  if p_kind is null or p_kind not in ('search', 'document', 'moderation') then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = 'kind: one of search, document, moderation.';
  end if;
  v_limits := private.limits_of(v_user_id);
  if p_kind <> 'moderation' then
    perform private.require_premium(v_limits);
    -- embeddings are paid as replies are
    if v_limits.monthly_budget_micro_usd is not null then
      perform pg_advisory_xact_lock(hashtextextended(v_user_id::text, 0));
      perform private.require_budget(v_user_id, v_limits);
    end if;
  end if;
  v_step := private.request_step(v_limits.requests_per_minute);

  if p_charge then
    insert into private.meters as m (user_id, kind, full_at)
    values (v_user_id, p_kind, clock_timestamp() + v_step)
    on conflict (user_id, kind) do update
    set full_at = greatest(m.full_at, clock_timestamp()) + v_step
    where greatest(m.full_at, clock_timestamp()) + v_step <= clock_timestamp() + c_window
    returning m.full_at into v_full_at;
  else
    -- of a user without a meter too: greatest passes over null
    select greatest(max(m.full_at), clock_timestamp()) into v_full_at
    from private.meters as m
    where m.user_id = v_user_id and m.kind = p_kind;
    if v_full_at + v_step > clock_timestamp() + c_window then
      v_full_at := null;
    end if;
  end if;

  if v_full_at is null then
    perform private.refuse(
      'requests', v_limits.requests_per_minute,
      (select m.full_at from private.meters as m where m.user_id = v_user_id and m.kind = p_kind)
      + v_step - c_window - clock_timestamp()
    );
  end if;
  -- what searches are begun together pass the budget by one at most, as replies do
  if p_kind = 'search' and p_charge and p_query is not null and v_limits.monthly_budget_micro_usd is not null then
    v_cost := private.query_cost(p_query);
    if v_cost > 0 then
      insert into private.reservations (
        reply_id, user_id, prompt_tokens, output_tokens, expires_at, input_tokens, cost_micro_usd
      )
      values (gen_random_uuid(), v_user_id, 0, 0, clock_timestamp() + c_window, 0, v_cost)
      returning reply_id into v_held_id;
    end if;
  end if;
  return jsonb_build_object('requests', private.request_quota(v_limits.requests_per_minute, v_full_at))
    || case when p_query is null then '{}' else jsonb_build_object('held', v_held_id) end;
end;
$$;

comment on function private.admit_request(text, boolean, text) is
'See public.admit_request.';

grant execute on function private.admit_request(text, boolean, text) to authenticated;
