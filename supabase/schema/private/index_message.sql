-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER messages_index_ended AFTER UPDATE OF content, status ON public.messages FOR EACH ROW WHEN (((new.status <> 'streaming'::text) AND ((old.status = 'streaming'::text) OR (old.content IS DISTINCT FROM new.content)))) EXECUTE FUNCTION private.index_message()
-- CREATE TRIGGER messages_index_new AFTER INSERT ON public.messages FOR EACH ROW WHEN (((new.status <> 'streaming'::text) AND (new.content <> ''::text))) EXECUTE FUNCTION private.index_message()
create or replace function private.index_message() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  -- letters; a text of more would hold up the others that are written with it
  c_at_once constant integer := 20000;
begin
  if char_length(new.content) > c_at_once then
    insert into private.long_texts (message_id) values (new.id) on conflict do nothing;
    return null;
  end if;
  perform private.index_text(new.user_id, new.id, null, new.content, new.created_at);
  return null;
end;
$$;

comment on function private.index_message() is
'Trigger: indexes the message; a long one is left to index_waiting_texts.';
