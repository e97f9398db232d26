-- Before the code: a search looks at the size of the partition that has the caller's passages, where there are partitions.
-- Without them nothing changes. A partitioned table itself has no size: every owner of more than 2,000 passages would have
-- walked the index, however small their part of it is.
create or replace function private.prefers_index(p_user_id uuid, p_model text, p_count integer) returns boolean
language plpgsql
stable
security invoker
set search_path = ''
-- one of the owner's passages is found by an index, never by reading everybody's
set enable_seqscan = off
as $$
declare
  -- recall is exact up to here
  c_exact constant integer := 2000;
  -- what the walk costs for each passage it has to return, against what ranking one costs, as measured
  c_walk constant double precision := 4;

  v_passages double precision;
  v_total double precision;
begin
  select c.passages into v_passages
  from private.passage_counts as c
  where c.user_id = p_user_id and c.embedding_model = p_model;
  if coalesce(v_passages, 0) <= c_exact then
    return false;
  end if;
  select greatest(t.reltuples, v_passages) into v_total
  from pg_catalog.pg_class as t
  where t.oid = (
    select e.tableoid from public.embeddings as e
    where e.user_id = p_user_id and e.embedding_model = p_model
    limit 1
  );
  -- the walk meets one of the owner's passages in v_total / v_passages
  return coalesce(v_passages > c_walk * p_count * v_total / v_passages, false);
end;
$$;

comment on function private.prefers_index(uuid, text, integer) is
'Whether the p_count nearest passages of this owner are found faster by the HNSW index than by ranking all of them.';
