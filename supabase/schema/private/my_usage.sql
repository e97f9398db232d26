-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.my_usage() returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_user_id constant uuid := auth.uid();
  v_limits private.limits;
  v_month jsonb;
  v_used bigint;
  v_oldest timestamptz;
  v_held bigint;
begin
  if v_user_id is null then
    raise exception using errcode = 'PT401', message = 'unauthenticated', detail = 'A signed-in user is required.';
  end if;
  v_limits := private.limits_of(v_user_id);
  v_month := private.usage_totals(v_user_id, private.month_start());
  select coalesce(sum(l.tokens), 0), min(l.created_at) into v_used, v_oldest
  from private.usage_ledger as l
  where
    l.user_id = v_user_id and l.kind = 'reply'
    and l.created_at > clock_timestamp() - interval '60 seconds';
  select coalesce(sum(r.tokens), 0) into v_held from private.reservations as r where r.user_id = v_user_id;

  return jsonb_build_object(
    'plan', v_limits.plan,
    'today', private.usage_totals(v_user_id, date_trunc('day', now(), 'UTC')),
    'month', v_month,
    'models', coalesce((
      select jsonb_agg(to_jsonb(m) order by m.tokens desc, m.provider, m.model)
      from (
        select
          l.provider, l.model,
          count(distinct l.reply_id) filter (where l.kind = 'reply') as replies,
          sum(l.prompt_tokens) as prompt_tokens,
          sum(l.completion_tokens) as completion_tokens,
          sum(l.cached_tokens) as cached_tokens,
          sum(l.tokens) as tokens,
          coalesce(sum(l.cost_micro_usd), 0) as cost_micro_usd,
          count(distinct l.reply_id) filter (where l.kind = 'reply' and l.cost_micro_usd is null) as unpriced_replies
        from private.usage_ledger as l
        where l.user_id = v_user_id and l.created_at >= private.month_start()
        group by l.provider, l.model
      ) as m
    ), '[]'),
    'held_tokens', v_held,
    'requests', private.request_quota(
      v_limits.requests_per_minute,
      (select m.full_at from private.meters as m where m.user_id = v_user_id and m.kind = 'turn')
    ),
    'tokens', private.quota(
      v_limits.tokens_per_minute,
      (v_limits.tokens_per_minute - greatest(0, v_used) - v_held)::integer,
      v_oldest + interval '60 seconds' - clock_timestamp()
    ),
    'budget', case
      when v_limits.monthly_budget_micro_usd is not null then jsonb_build_object(
        'limit_micro_usd', v_limits.monthly_budget_micro_usd,
        'remaining_micro_usd', greatest(
          0,
          v_limits.monthly_budget_micro_usd - (v_month ->> 'cost_micro_usd')::bigint - private.held_micro_usd(v_user_id)
        )
      )
    end
  );
end;
$$;

comment on function private.my_usage() is
'See public.my_usage.';

grant execute on function private.my_usage() to authenticated;
