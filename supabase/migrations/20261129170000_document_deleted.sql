-- Before the code: the owner's devices are told when a document is deleted. The release before does not listen to the event.
create function private.announce_deleted_documents() returns trigger
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

revoke all on function private.announce_deleted_documents() from public, anon, authenticated, service_role;

create trigger documents_announce_deleted
after delete on public.documents
referencing old table as before
for each statement execute function private.announce_deleted_documents();
