-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER messages_check_parent AFTER INSERT OR UPDATE OF parent_id, conversation_id ON public.messages FOR EACH ROW WHEN ((new.parent_id IS NOT NULL)) EXECUTE FUNCTION private.check_parent()
create or replace function private.check_parent() returns trigger
language plpgsql
security definer
set search_path = ''
set enable_seqscan = 'off'
as $$
begin
  if exists (
    select from public.messages as p
    where p.id = new.parent_id and (p.conversation_id = new.conversation_id) is not true
  ) then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = 'parent_id: expected a message of the same conversation.';
  end if;
  return null;
end;
$$;

comment on function private.check_parent() is
'Trigger: a message follows one of its own conversation.';
