-- Before the code: searches walk the index of large owners, once it has all of their passages, and rank until then. The
-- release before calls the same functions.
create or replace function private.prefers_index(p_user_id uuid, p_model text, p_count integer) returns boolean
language plpgsql
stable
security invoker
set search_path = ''
-- one of the owner's passages is found by an index, never by reading everybody's
set enable_seqscan = off
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
'Whether the p_count nearest passages of this owner are found faster by the HNSW index than by ranking all of them. Not '
'while it lacks some of them.';

create or replace function private.nearest_by_index(
  p_user_id uuid,
  p_query extensions.vector,
  p_count integer,
  p_filter jsonb,
  p_model text,
  p_hidden bigint[]
) returns uuid[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  select array_agg(n.id) into v_ids
  from (
    select e.id
    from public.embeddings as e
    where
      e.large_owner
      and e.user_id = p_user_id
      and e.embedding_model = p_model
      and e.revision <> all(p_hidden)
      and (p_filter = '{}' or e.metadata @> p_filter)
    order by e.embedding::extensions.halfvec(1536) operator(extensions.<=>) p_query::extensions.halfvec(1536)
    -- more than asked for, since half precision may swap neighbours
    limit p_count + p_count / 2 + 5
  ) as n;
  return v_ids;
end;
$$;

-- a function that is replaced loses its settings; as text, see the migration match_embeddings
do $$
declare
  v_setting text;
begin
  perform '[1]'::extensions.vector;
  foreach v_setting in array array[
    'hnsw.iterative_scan = ''strict_order''',
    'hnsw.ef_search = 200',
    'hnsw.max_scan_tuples = 20000',
    'hnsw.scan_mem_multiplier = 4',
    'enable_sort = off'
  ]
  loop
    execute 'alter function private.nearest_by_index set ' || v_setting;
  end loop;
end
$$;

create function private.index_large_owners() returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_batch constant integer := 1000;

  v_owner private.passage_counts;
  v_id uuid;
  v_marked bigint := 0;
begin
  -- the count before the passages, as nothing else has it: whoever adds or removes some waits, and holds none of those
  -- that this waits for, because it waits for none
  select * into v_owner
  from private.passage_counts as c
  where c.passages > 2000 and c.in_index < c.passages
  -- any, so that one whose passages others hold keeps nobody waiting
  order by random()
  limit 1
  for no key update skip locked;
  if not found then
    return false;
  end if;
  for v_id in
    select e.id
    from public.embeddings as e
    where e.user_id = v_owner.user_id and e.embedding_model = v_owner.embedding_model and not e.large_owner
    limit c_batch
    for no key update skip locked
  loop
    update public.embeddings as e set large_owner = true where e.id = v_id and e.user_id = v_owner.user_id;
    v_marked := v_marked + 1;
    -- a call has seconds at most
    exit when clock_timestamp() > statement_timestamp() + interval '1 second';
  end loop;
  update private.passage_counts as c
  set
    -- when none is left all are in the index, whatever had been counted
    in_index = case
      when exists (
        select from public.embeddings as e
        where e.user_id = c.user_id and e.embedding_model = c.embedding_model and not e.large_owner
      ) then c.in_index + v_marked
      else c.passages
    end
  where c.user_id = v_owner.user_id and c.embedding_model = v_owner.embedding_model;
  -- what others hold is for another call
  return v_marked > 0;
end;
$$;

comment on function private.index_large_owners() is
'Puts some passages of an owner who has come to have more than are ranked into the HNSW index, for about a second. '
'Returns whether there may be more to do.';

revoke all on function private.index_large_owners() from public, anon, authenticated;
grant execute on function private.index_large_owners() to service_role;

create or replace function public.index_waiting_texts() returns boolean
language sql
security invoker
set search_path = ''
as $$
  select bool_or(w.more)
  from (values (private.index_waiting_texts()), (private.index_large_owners())) as w (more)
$$;

comment on function public.index_waiting_texts() is
'Makes some of the texts searchable that were not indexed while they were written, and puts some passages of large owners '
'into their index. Returns whether there may be more. For the service.';
