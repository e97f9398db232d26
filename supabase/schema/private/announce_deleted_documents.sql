-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER documents_announce_deleted AFTER DELETE ON public.documents REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION private.announce_deleted_documents()
create or replace function private.announce_deleted_documents() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  -- as in announce_conversations: of a statement that deletes more, the rest is for the next reader of the table
  c_most constant integer := 1000;
begin
  perform realtime.send(
    jsonb_build_object('document_id', d.id), 'document.deleted', 'user:' || d.user_id, true
  )
  from (
    -- when a user is deleted there is nobody to tell
    select b.id, b.user_id from before as b
    join auth.users as u on u.id = b.user_id
    limit c_most
  ) as d;
  return null;
end;
$$;

comment on function private.announce_deleted_documents() is
'Trigger: tells the owner on Realtime (user:{id}, event document.deleted) that a document is gone.';
