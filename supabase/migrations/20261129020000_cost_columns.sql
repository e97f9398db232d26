-- Before the code: a reply has its cost, and a conversation the sums of its replies. The release before neither reads nor
-- writes the columns. What it has answered gets its cost when its conversation becomes a tree (private.plant_tree).
set local lock_timeout = '2s';

alter table public.messages add column cost_micro_usd bigint;
alter table public.conversations
add column cost_micro_usd bigint not null default 0,
add column tokens bigint not null default 0;

comment on column public.messages.cost_micro_usd is
'What the calls for a reply have cost, in millionths of a dollar: the sum of its entries in the ledger. Null until it is over, and where no price is known.';
comment on column public.conversations.cost_micro_usd is
'What the replies of all branches have cost, in millionths of a dollar. Kept by triggers on messages.';
comment on column public.conversations.tokens is
'The sum of tokens_used of the replies of all branches. Kept by triggers on messages.';

create function private.reply_cost(
  p_reply_id uuid
) returns bigint
language sql
stable
security invoker
set search_path = ''
as $$ select sum(l.cost_micro_usd)::bigint from private.usage_ledger as l where l.reply_id = p_reply_id $$;

comment on function private.reply_cost(uuid) is
'What the ledger has for a reply, in millionths of a dollar: all calls whose price is known; null where none is.';

revoke all on function private.reply_cost(uuid) from public, anon, authenticated;
grant execute on function private.reply_cost(uuid) to service_role;
