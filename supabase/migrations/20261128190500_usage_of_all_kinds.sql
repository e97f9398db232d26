-- Before the code: a reply is one however many calls it took, and what is held of a budget is not left of it.
create or replace function private.usage_totals(p_user_id uuid, p_from timestamptz) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'replies', count(distinct l.reply_id) filter (where l.kind = 'reply'),
    'prompt_tokens', coalesce(sum(l.prompt_tokens), 0),
    'completion_tokens', coalesce(sum(l.completion_tokens), 0),
    'cached_tokens', coalesce(sum(l.cached_tokens), 0),
    'tokens', coalesce(sum(l.tokens), 0),
    'cost_micro_usd', coalesce(sum(l.cost_micro_usd), 0),
    'unpriced_replies', count(distinct l.reply_id) filter (where l.kind = 'reply' and l.cost_micro_usd is null)
  )
  from private.usage_ledger as l
  where l.user_id = p_user_id and l.created_at >= p_from
$$;

comment on function private.usage_totals(uuid, timestamptz) is
'The sums of a user''s ledger from a moment on, of replies, embeddings and checks; cost_micro_usd leaves out the unpriced '
'replies.';

create or replace function private.my_usage() returns jsonb
language plpgsql
volatile
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
