-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER embeddings_count_added AFTER INSERT ON public.embeddings REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION private.count_added_passages()
create or replace function private.count_added_passages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into private.passage_counts as c (user_id, embedding_model, passages, in_index)
  select a.user_id, a.embedding_model, count(*), count(*) filter (where a.large_owner)
  from added as a
  group by a.user_id, a.embedding_model
  -- always in this order, so that two batches never wait for each other in a circle
  order by a.user_id, a.embedding_model
  on conflict (user_id, embedding_model) do update set
    passages = c.passages + excluded.passages,
    in_index = c.in_index + excluded.in_index;
  return null;
end;
$$;

comment on function private.count_added_passages() is
'Trigger: adds new passages to their owners'' counts.';
