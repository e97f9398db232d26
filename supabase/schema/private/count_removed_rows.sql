-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER conversations_count_removed AFTER DELETE ON public.conversations REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION private.count_removed_rows()
-- CREATE TRIGGER documents_count_removed AFTER DELETE ON public.documents REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION private.count_removed_rows()
-- CREATE TRIGGER messages_count_removed AFTER DELETE ON public.messages REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION private.count_removed_rows()
create or replace function private.count_removed_rows() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update private.stored as s
  set amount = s.amount - r.amount
  from (select g.user_id, count(*) as amount from removed as g group by g.user_id) as r
  where s.user_id = r.user_id and s.kind = tg_table_name;
  return null;
end;
$$;

comment on function private.count_removed_rows() is
'Trigger: takes deleted rows from their owners'' amounts.';
