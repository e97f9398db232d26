-- Before the code: the budget counts what is in the new table. Nothing is, until delete_my_data is called.

-- What the ledger no longer says under a user's name, the month's budget still has to know.
create table private.carried_costs (
  user_id uuid not null references auth.users (id) on delete cascade,
  month timestamptz not null,
  cost_micro_usd bigint not null,
  primary key (user_id, month)
);

comment on table private.carried_costs is
'What a user had spent in a month before they deleted everything of theirs: the sum alone, for their budget.';
comment on column private.carried_costs.month is 'Its start, as private.month_start() gives it.';

alter table private.carried_costs enable row level security;
alter table private.carried_costs force row level security;

create policy "Owners read their sums" on private.carried_costs
for select to authenticated using (user_id = (select auth.uid()));

revoke all on table private.carried_costs from public, anon, authenticated, service_role;
grant select on table private.carried_costs to service_role;

create function private.carried_cost(p_user_id uuid, p_from timestamptz) returns bigint
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(sum(c.cost_micro_usd), 0)::bigint
  from private.carried_costs as c
  where c.user_id = p_user_id and c.month >= p_from
$$;

comment on function private.carried_cost(uuid, timestamptz) is
'What a user spent in the months that began then or later, and deleted since.';

revoke all on function private.carried_cost(uuid, timestamptz) from public, anon, authenticated, service_role;
grant execute on function private.carried_cost(uuid, timestamptz) to service_role;

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
    'cost_micro_usd', coalesce(sum(l.cost_micro_usd), 0) + private.carried_cost(p_user_id, p_from),
    'unpriced_replies', count(distinct l.reply_id) filter (where l.kind = 'reply' and l.cost_micro_usd is null)
  )
  from private.usage_ledger as l
  where l.user_id = p_user_id and l.created_at >= p_from
$$;

comment on function private.usage_totals(uuid, timestamptz) is
'The sums of a user''s ledger from a moment on, of replies, embeddings and checks; cost_micro_usd leaves out the unpriced replies. '
'Of what the user has deleted there is the cost alone.';

create or replace function private.require_budget(p_user_id uuid, p_limits private.limits) returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_spent bigint;
  v_held bigint;
begin
  if p_limits.monthly_budget_micro_usd is null then
    return;
  end if;
  -- in one view of the data, or a reply that ends just now would be in neither
  select
    coalesce(sum(l.cost_micro_usd), 0) + private.carried_cost(p_user_id, private.month_start()),
    private.held_micro_usd(p_user_id)
  into v_spent, v_held
  from private.usage_ledger as l
  where l.user_id = p_user_id and l.created_at >= private.month_start();
  if v_spent >= p_limits.monthly_budget_micro_usd then
    raise exception using errcode = 'PT402', message = 'budget_exceeded',
      detail = format(
        'This month''s budget is used up; the next one begins on %s.',
        to_char(private.month_start() + interval '1 month', 'YYYY-MM-DD')
      );
  end if;
  if v_spent + v_held >= p_limits.monthly_budget_micro_usd then
    raise exception using errcode = 'PT402', message = 'budget_exceeded',
      detail = 'What is left of this month''s budget is held by replies that are being written, or by documents that are '
      'being indexed; come back when they are done.';
  end if;
end;
$$;
