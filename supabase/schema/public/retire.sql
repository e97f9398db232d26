-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.retire(
  p_kind text,
  p_days integer,
  p_after text default null,
  p_dry_run boolean default true
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  -- kind, and the least number of days: what the budget of a month counts must not go, nor a key's 24 hours
  c_least constant jsonb := '{
    "conversations": 1, "texts": 1, "documents": 1, "ledger": 62, "audit": 1, "imports": 2, "keys": 1, "idempotency": 2,
    "meters": 1
  }';
  c_most constant integer := 36500;
  v_before timestamptz;
begin
  if p_kind is null or not c_least ? p_kind then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = format(
      'p_kind: expected one of %s.', (select string_agg(k, ', ' order by k) from jsonb_object_keys(c_least) as k)
    );
  end if;
  if p_days is null or p_days not between (c_least ->> p_kind)::integer and c_most then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = format(
      'p_days: expected %s to %s days of %s.', c_least ->> p_kind, c_most, p_kind
    );
  end if;
  v_before := now() - p_days * interval '1 day';
  return case p_kind
    when 'conversations' then
      private.retire_conversations(v_before, coalesce(p_after::bigint, -1), false, coalesce(p_dry_run, true))
    when 'texts' then
      private.retire_conversations(v_before, coalesce(p_after::bigint, -1), true, coalesce(p_dry_run, true))
    when 'documents' then private.retire_documents(v_before, coalesce(p_after::bigint, -1), coalesce(p_dry_run, true))
    when 'ledger' then private.retire_ledger(v_before, p_after::uuid, coalesce(p_dry_run, true))
    else private.retire_records(p_kind, v_before, p_after, coalesce(p_dry_run, true))
  end;
end;
$$;

comment on function public.retire(text, integer, text, boolean) is
'One step of removing what is older than p_days: conversations without activity, or with texts only what is said in them; documents; ledger (entries become sums, at least 62 days); audit (of moderation); imports; keys (personal keys that expired); idempotency; meters. Returns {rows, next, messages}: how many rows, and where the next step begins, as its p_after; null when this was the last. Unless p_dry_run is false, rows are counted and nothing is removed. Error: PT422 invalid_request. For the service.';

grant execute on function public.retire(text, integer, text, boolean) to service_role;
