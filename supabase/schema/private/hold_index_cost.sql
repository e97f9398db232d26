-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER index_jobs_hold_cost BEFORE INSERT OR UPDATE OF revision ON private.index_jobs FOR EACH ROW EXECUTE FUNCTION private.hold_index_cost()
create or replace function private.hold_index_cost() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  new.cost_micro_usd := private.embedding_cost((
    select coalesce(sum(private.estimate_tokens(p.content)), 0)
    from private.document_passages as p
    where p.document_id = new.document_id and p.revision = new.revision
  )::bigint);
  return new;
end;
$$;

comment on function private.hold_index_cost() is
'Holds what a document''s vectors cost while they are waited for: its passages are stored before its job.';
