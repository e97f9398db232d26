-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.settle(
  p_replies jsonb
) returns void
language sql
security invoker
set search_path = ''
as $$
  insert into private.usage_ledger (
    reply_id, entry, user_id, provider, model, prompt_tokens, completion_tokens, cached_tokens, cost_micro_usd
  )
  select
    f.id, coalesce(e.entries, 0) + 1, coalesce(f.user_id, v.user_id), f.provider, f.model,
    f.prompt_tokens - coalesce(e.prompt_tokens, 0),
    f.completion_tokens - coalesce(e.completion_tokens, 0),
    coalesce(f.cached_tokens, 0) - coalesce(e.cached_tokens, 0),
    f.cost_micro_usd - coalesce(e.cost_micro_usd, 0)
  from jsonb_to_recordset(p_replies) as f (
    id uuid, user_id uuid, provider text, model text,
    prompt_tokens integer, completion_tokens integer, cached_tokens integer, cost_micro_usd bigint
  )
  left join private.reservations as v on v.reply_id = f.id
  left join lateral (
    select
      count(*)::integer as entries,
      sum(l.prompt_tokens)::integer as prompt_tokens,
      sum(l.completion_tokens)::integer as completion_tokens,
      sum(l.cached_tokens)::integer as cached_tokens,
      sum(l.cost_micro_usd)::bigint as cost_micro_usd
    from private.usage_ledger as l
    where l.reply_id = f.id
  ) as e on true
  where
    coalesce(f.user_id, v.user_id) is not null
    and f.prompt_tokens is not null
    and f.completion_tokens is not null
    and (f.prompt_tokens, f.completion_tokens, coalesce(f.cached_tokens, 0), coalesce(f.cost_micro_usd, 0)) is distinct from (
      coalesce(e.prompt_tokens, 0), coalesce(e.completion_tokens, 0), coalesce(e.cached_tokens, 0),
      coalesce(e.cost_micro_usd, 0)
    );

  delete from private.reservations as v
  using jsonb_to_recordset(p_replies) as f (id uuid)
  where v.reply_id = f.id;
$$;

comment on function private.settle(jsonb) is
'Enters what replies [{id, user_id, provider, model, prompt_tokens, completion_tokens, cached_tokens, cost_micro_usd}] used and releases what was held for them. Only the difference to earlier entries is entered, so a repeated call changes nothing; of two calls at the same time for one reply, one fails at the primary key and is repeated by its caller.';

grant execute on function private.settle(jsonb) to service_role;
