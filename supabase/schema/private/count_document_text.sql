-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER documents_count_new_text AFTER INSERT ON public.documents FOR EACH ROW WHEN (((new.passages > 0) OR (new.bytes > 0))) EXECUTE FUNCTION private.count_document_text()
-- CREATE TRIGGER documents_count_text AFTER UPDATE ON public.documents FOR EACH ROW WHEN (((new.passages <> old.passages) OR (new.bytes <> old.bytes))) EXECUTE FUNCTION private.count_document_text()
create or replace function private.count_document_text() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- of a new document there is no old row: null
  insert into private.stored as s (user_id, kind, amount)
  values
    (new.user_id, 'document_bytes', new.bytes - coalesce(old.bytes, 0)),
    (new.user_id, 'passages', new.passages - coalesce(old.passages, 0))
  on conflict (user_id, kind) do update set amount = s.amount + excluded.amount;
  if new.bytes > coalesce(old.bytes, 0) then
    perform private.require_room('document_bytes');
  end if;
  if new.passages > coalesce(old.passages, 0) then
    perform private.require_room('passages');
  end if;
  return null;
end;
$$;

comment on function private.count_document_text() is
'Trigger: counts the passages and bytes of a document''s new content in place of the old; refuses what is too much.';
