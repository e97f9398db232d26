-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER conversations_count_added AFTER INSERT ON public.conversations REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION private.count_added_rows()
-- CREATE TRIGGER documents_count_added AFTER INSERT ON public.documents REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION private.count_added_rows()
-- CREATE TRIGGER messages_count_added AFTER INSERT ON public.messages REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION private.count_added_rows()
create or replace function private.count_added_rows() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into private.stored as s (user_id, kind, amount)
  select a.user_id, tg_table_name, count(*)
  from added as a
  group by a.user_id
  -- always in this order, so that two statements never wait for each other in a circle
  order by a.user_id
  on conflict (user_id, kind) do update set amount = s.amount + excluded.amount;
  if found then
    perform private.require_room(tg_table_name);
  end if;
  return null;
end;
$$;

comment on function private.count_added_rows() is
'Trigger: adds new rows to their owners'' amounts; refuses a user who has too many then, however they were inserted.';
