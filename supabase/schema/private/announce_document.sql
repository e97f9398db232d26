-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER documents_announce_created AFTER INSERT ON public.documents FOR EACH ROW EXECUTE FUNCTION private.announce_document()
-- CREATE TRIGGER documents_announce_progress AFTER UPDATE ON public.documents FOR EACH ROW WHEN (((old.status <> new.status) OR (old.indexed <> new.indexed) OR (old.passages <> new.passages))) EXECUTE FUNCTION private.announce_document()
create or replace function private.announce_document() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform realtime.send(
    jsonb_build_object(
      'document_id', new.id, 'status', new.status, 'passages', new.passages, 'indexed', new.indexed, 'error', new.error
    ),
    'document', 'user:' || new.user_id, true
  );
  return null;
end;
$$;

comment on function private.announce_document() is
'Trigger: tells the owner on Realtime (user:{id}, event document) how far indexing is.';
