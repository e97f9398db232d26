-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.nearest_by_rank(
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
      e.user_id = p_user_id
      and e.embedding_model = p_model
      and e.revision <> all(p_hidden)
      and (p_filter = '{}' or e.metadata @> p_filter)
    -- not the expression of the HNSW index, which therefore cannot be used here
    order by e.embedding operator(extensions.<=>) p_query, e.id
    limit p_count
  ) as n;
  return v_ids;
end;
$$;

comment on function private.nearest_by_rank(uuid, extensions.vector, integer, jsonb, text, bigint[]) is
'The p_count nearest of the owner''s passages, by ranking all of them.';

grant execute on function private.nearest_by_rank(uuid, extensions.vector, integer, jsonb, text, bigint[]) to authenticated;
