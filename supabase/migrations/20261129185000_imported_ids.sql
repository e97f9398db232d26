-- Before the code: nothing of it changes. What a user imports has ids that nobody else can know beforehand.
-- They came from the user's id and the file alone: whoever knew both could begin a reply under such an id, and the import
-- took that for the message of the file.
create table private.import_secret (
  singleton boolean primary key default true check (singleton),
  secret uuid not null default gen_random_uuid()
);

comment on table private.import_secret is 'One row: what makes the ids of imported rows this installation''s own.';

insert into private.import_secret default values;

alter table private.import_secret enable row level security;
alter table private.import_secret force row level security;
create policy "Nobody reads or writes directly" on private.import_secret
to authenticated using (false) with check (false);
revoke all on table private.import_secret from public, anon, authenticated, service_role;

-- as JSON, since a text of several parts does not say where one ends
create function private.imported_id(p_user_id uuid, variadic p_source text[]) returns uuid
language sql
stable
set search_path = ''
as $$
  select encode(
    substr(sha256(convert_to(s.secret::text || p_user_id::text || to_jsonb(p_source)::text, 'UTF8')), 1, 16), 'hex'
  )::uuid
  from private.import_secret as s
  where array_position(p_source, null) is null
$$;

comment on function private.imported_id(uuid, text[]) is
'The id of what a user imports, by what it is and where it comes from; null where a part of that is.';

revoke all on function private.imported_id(uuid, text[]) from public, anon, authenticated, service_role;

create or replace function private.import_documents(p_import_id uuid, p_documents jsonb) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_import private.imports := private.running_import(p_import_id);
  v_added integer;
begin
  insert into public.documents (
    id, user_id, title, metadata, media_type, content_hash, pages, pages_without_text, status, error, created_at
  )
  select
    private.imported_id(v_import.user_id, 'document', s.document ->> 'id'), v_import.user_id,
    s.document ->> 'title', s.document -> 'metadata', s.document ->> 'media_type', s.document ->> 'content_hash',
    (s.document ->> 'pages')::integer, (s.document ->> 'pages_without_text')::integer, 'failed',
    'Imported without its text: send the file again.', (s.document ->> 'created_at')::timestamptz
  from jsonb_array_elements(p_documents) with ordinality as s (document, place)
  where not exists (
    select from public.documents as d where d.id = private.as_uuid(s.document ->> 'id') and d.user_id = v_import.user_id
  )
  order by s.place
  on conflict do nothing;
  get diagnostics v_added = row_count;
  perform private.require_room_of(v_import.user_id, 'documents');
  update private.imports as i
  set added_documents = i.added_documents + v_added, updated_at = now()
  where i.id = p_import_id;
  return to_jsonb(v_added);
end;
$$;

-- A message follows one of its own conversation. The foreign key knows the message alone.
create function private.check_parent() returns trigger
language plpgsql
security definer
set search_path = ''
-- a plan made for a small table is kept while thousands of rows are added to it
set enable_seqscan = off
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

comment on function private.check_parent() is 'Trigger: a message follows one of its own conversation.';

revoke all on function private.check_parent() from public, anon, authenticated, service_role;

create trigger messages_check_parent
after insert or update of parent_id, conversation_id on public.messages
for each row when (new.parent_id is not null)
execute function private.check_parent();
