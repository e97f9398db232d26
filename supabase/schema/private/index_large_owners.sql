-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.index_large_owners() returns boolean
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
'Puts some passages of an owner who has come to have more than are ranked into the HNSW index, for about a second. Returns whether there may be more to do.';

grant execute on function private.index_large_owners() to service_role;
