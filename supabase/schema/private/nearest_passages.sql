-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.nearest_passages(
  p_query extensions.vector,
  p_count integer,
  p_filter jsonb,
  p_model text
) returns uuid[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_user_id uuid := auth.uid();
  v_hidden bigint[] := private.unfinished_revisions(v_user_id);
  v_ids uuid[];
begin
  if private.prefers_index(v_user_id, p_model, p_count) then
    v_ids := private.nearest_by_index(v_user_id, p_query, p_count, p_filter, p_model, v_hidden);
    if cardinality(v_ids) >= p_count then
      return v_ids;
    end if;
  end if;
  return private.nearest_by_rank(v_user_id, p_query, p_count, p_filter, p_model, v_hidden);
end;
$$;

comment on function private.nearest_passages(extensions.vector, integer, jsonb, text) is
'At least the p_count nearest of the caller''s passages, by whichever plan is faster; never fewer than there are.';

grant execute on function private.nearest_passages(extensions.vector, integer, jsonb, text) to authenticated;
