-- Written by `make schema` from the migrations: to change it, add a migration.

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
set hnsw.iterative_scan = 'strict_order'
set hnsw.ef_search = '200'
set hnsw.max_scan_tuples = '20000'
set hnsw.scan_mem_multiplier = '4'
set enable_sort = 'off'
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

comment on function private.nearest_by_index(uuid, extensions.vector, integer, jsonb, text, bigint[]) is
'About half as many again as p_count of the owner''s nearest passages, by the HNSW index. Fewer when its scan reached its limit.';

grant execute on function private.nearest_by_index(uuid, extensions.vector, integer, jsonb, text, bigint[]) to authenticated;
