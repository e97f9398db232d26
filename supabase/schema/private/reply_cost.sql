-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.reply_cost(
  p_reply_id uuid
) returns bigint
language sql
stable
security invoker
set search_path = ''
as $$ select sum(l.cost_micro_usd)::bigint from private.usage_ledger as l where l.reply_id = p_reply_id $$;

comment on function private.reply_cost(uuid) is
'What the ledger has for a reply, in millionths of a dollar: all calls whose price is known; null where none is.';

grant execute on function private.reply_cost(uuid) to service_role;
