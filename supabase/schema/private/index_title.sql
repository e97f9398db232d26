-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER conversations_index_new AFTER INSERT ON public.conversations FOR EACH ROW WHEN ((new.title IS NOT NULL)) EXECUTE FUNCTION private.index_title()
-- CREATE TRIGGER conversations_index_renamed AFTER UPDATE OF title ON public.conversations FOR EACH ROW WHEN ((old.title IS DISTINCT FROM new.title)) EXECUTE FUNCTION private.index_title()
create or replace function private.index_title() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.index_text(new.user_id, null, new.id, coalesce(new.title, ''), now());
  return null;
end;
$$;

comment on function private.index_title() is
'Trigger: indexes the title of the conversation.';
