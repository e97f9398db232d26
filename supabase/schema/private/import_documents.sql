-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.import_documents(
  p_import_id uuid,
  p_documents jsonb
) returns jsonb
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

comment on function private.import_documents(uuid, jsonb) is
'See public.import_documents.';

grant execute on function private.import_documents(uuid, jsonb) to service_role;
