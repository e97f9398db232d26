-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.usage_totals(
  p_user_id uuid,
  p_from timestamp with time zone
) returns jsonb
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
    'cost_micro_usd', coalesce(sum(l.cost_micro_usd), 0) + private.carried_cost(p_user_id, p_from),
    'unpriced_replies', count(distinct l.reply_id) filter (where l.kind = 'reply' and l.cost_micro_usd is null)
  )
  from private.usage_ledger as l
  where l.user_id = p_user_id and l.created_at >= p_from
$$;

comment on function private.usage_totals(uuid, timestamp with time zone) is
'The sums of a user''s ledger from a moment on, of replies, embeddings and checks; cost_micro_usd leaves out the unpriced replies. Of what the user has deleted there is the cost alone.';

grant execute on function private.usage_totals(uuid, timestamp with time zone) to service_role;
