-- Before the code: a charge that is repeated lowers what is held for its document once.
create or replace function public.charge_usage(
  p_charges jsonb
) returns boolean
language plpgsql
security invoker
set search_path = ''
as $$
declare
  -- a charge that is repeated has lowered what is held already
  v_new constant uuid[] := array(
    select c.id from jsonb_to_recordset(p_charges) as c (id uuid)
    where not exists (select from private.usage_ledger as l where l.reply_id = c.id)
  );
begin
  perform private.settle(p_charges);
  -- what is paid is held no longer
  update private.index_jobs as j
  set cost_micro_usd = greatest(0, j.cost_micro_usd - c.cost)
  from (
    select c.document_id, sum(u.cost_micro_usd) as cost
    from jsonb_to_recordset(p_charges) as c (id uuid, document_id uuid)
    join private.usage_ledger as u on u.reply_id = c.id
    where c.document_id is not null and c.id = any(v_new)
    group by c.document_id
  ) as c
  where j.document_id = c.document_id and c.cost is not null;
  return true;
end;
$$;
