-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER embeddings_mark BEFORE INSERT ON public.embeddings FOR EACH ROW EXECUTE FUNCTION private.mark_passage()
create or replace function private.mark_passage() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  new.large_owner := exists (
    select from private.passage_counts as c
    where c.user_id = new.user_id and c.embedding_model = new.embedding_model and c.in_index > 0
  );
  return new;
end;
$$;

comment on function private.mark_passage() is
'Trigger: a new passage of an owner whose passages are in the HNSW index is in it, too.';
