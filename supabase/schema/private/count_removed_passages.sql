-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER embeddings_count_removed AFTER DELETE ON public.embeddings REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION private.count_removed_passages()
create or replace function private.count_removed_passages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update private.passage_counts as c
  set passages = c.passages - r.passages, in_index = c.in_index - r.in_index
  from (
    select
      g.user_id, g.embedding_model, count(*) as passages,
      count(*) filter (where g.large_owner) as in_index
    from removed as g
    group by g.user_id, g.embedding_model
  ) as r
  where c.user_id = r.user_id and c.embedding_model = r.embedding_model;
  return null;
end;
$$;

comment on function private.count_removed_passages() is
'Trigger: takes deleted passages from their owners'' counts.';
