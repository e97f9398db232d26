-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.prefers_index(
  p_user_id uuid,
  p_model text,
  p_count integer
) returns boolean
language plpgsql
stable
security invoker
set search_path = ''
set enable_seqscan = 'off'
as $$
declare
  -- what the walk costs for each passage it has to return, against what ranking one costs, as measured
  c_walk constant double precision := 4;

  v_passages double precision;
  v_total double precision;
begin
  select c.passages into v_passages
  from private.passage_counts as c
  -- an index that lacks some of them would not find them
  where c.user_id = p_user_id and c.embedding_model = p_model and c.in_index = c.passages;
  if coalesce(v_passages, 0) <= private.ranked_passages() then
    return false;
  end if;
  -- of the partition that has the owner's passages, where there are partitions
  select greatest(x.reltuples, v_passages) into v_total
  from pg_catalog.pg_index as i
  join pg_catalog.pg_class as x on x.oid = i.indexrelid
  join pg_catalog.pg_am as a on a.oid = x.relam
  where
    a.amname = 'hnsw'
    and i.indpred is not null
    and i.indisvalid
    and i.indrelid = (
      select e.tableoid from public.embeddings as e
      where e.user_id = p_user_id and e.embedding_model = p_model
      limit 1
    );
  -- the walk meets one of the owner's passages in v_total / v_passages
  return coalesce(v_passages > c_walk * p_count * v_total / v_passages, false);
end;
$$;

comment on function private.prefers_index(uuid, text, integer) is
'Whether the p_count nearest passages of this owner are found faster by the HNSW index than by ranking all of them. Not while it lacks some of them.';

grant execute on function private.prefers_index(uuid, text, integer) to authenticated;
