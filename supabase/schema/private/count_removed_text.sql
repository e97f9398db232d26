-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER documents_count_removed_text AFTER DELETE ON public.documents REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION private.count_removed_text()
create or replace function private.count_removed_text() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update private.stored as s
  set amount = s.amount - case s.kind when 'passages' then r.passages else r.bytes end
  from (
    select g.user_id, sum(g.passages) as passages, sum(g.bytes) as bytes from removed as g group by g.user_id
  ) as r
  where s.user_id = r.user_id and s.kind in ('passages', 'document_bytes');
  return null;
end;
$$;

comment on function private.count_removed_text() is
'Trigger: takes the passages and bytes of deleted documents from their owners'' amounts.';
