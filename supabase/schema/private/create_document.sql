-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.create_document(
  p_title text,
  p_passages jsonb,
  p_content_hash text,
  p_metadata jsonb,
  p_media_type text,
  p_document_id uuid,
  p_embedding_model text,
  p_pages integer,
  p_pages_without_text integer
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := auth.uid();
  v_document public.documents;
  v_known public.documents;
  v_revision bigint;
  v_bytes bigint;
  v_quotas jsonb;
begin
  if v_user_id is null then
    raise exception using errcode = 'PT401', message = 'unauthenticated', detail = 'A signed-in user is required.';
  end if;
  v_bytes := private.check_document(
    p_title, p_passages, p_content_hash, p_metadata, p_media_type, p_embedding_model
  );
  if coalesce(p_pages, 0) < 0 or coalesce(p_pages_without_text, 0) not between 0 and coalesce(p_pages, 0) then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'The counts of pages are not possible.';
  end if;
  -- here and not in the API alone: what a token creates through the Data API costs embeddings too
  v_quotas := private.admit_request('document', true);

  if p_document_id is null then
    -- waits here for a concurrent call with the same content
    insert into public.documents (user_id, title, metadata, media_type, content_hash)
    values (v_user_id, p_title, p_metadata, p_media_type, p_content_hash)
    on conflict (user_id, content_hash) do nothing
    returning * into v_document;
    if not found then
      select * into strict v_known from public.documents as d
      where d.user_id = v_user_id and d.content_hash = p_content_hash
      for update;
    end if;
  else
    select * into v_document from public.documents as d
    where d.id = p_document_id and d.user_id = v_user_id
    for update;
    if not found then
      raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such document.';
    end if;
    if exists (
      select from public.documents as d
      where d.user_id = v_user_id and d.content_hash = p_content_hash and d.id <> p_document_id
    ) then
      raise exception using errcode = 'PT409', message = 'conflict', detail = 'Another document has this content.';
    end if;
    if v_document.content_hash = p_content_hash and v_document.metadata = p_metadata then
      v_known := v_document;
    end if;
  end if;

  -- the same content again: only what had failed is tried once more
  if v_known.id is not null then
    if v_known.title <> p_title and p_document_id is not null then
      update public.documents as d set title = p_title where d.id = v_known.id returning * into v_known;
    end if;
    if v_known.status <> 'failed' then
      return jsonb_build_object('created', false, 'document', to_jsonb(v_known), 'quotas', v_quotas);
    end if;
    v_document := v_known;
  end if;

  v_revision := nextval('private.revisions');
  update public.documents as d
  set
    title = p_title,
    metadata = p_metadata,
    media_type = p_media_type,
    content_hash = p_content_hash,
    status = 'pending',
    passages = jsonb_array_length(p_passages),
    bytes = v_bytes,
    indexed = 0,
    error = null,
    pages = p_pages,
    pages_without_text = p_pages_without_text,
    next_revision = v_revision
  where d.id = v_document.id
  returning * into v_document;

  -- what an interrupted replacement had indexed is nobody's now
  delete from public.embeddings as e
  where e.document_id = v_document.id and e.revision <> v_document.revision
  or (e.document_id = v_document.id and v_document.revision is null);
  delete from private.document_passages as p where p.document_id = v_document.id;
  insert into private.document_passages (document_id, revision, passage, content, metadata)
  select v_document.id, v_revision, p.place - 1, p.passage ->> 'content', coalesce(p.passage -> 'metadata', '{}')
  from jsonb_array_elements(p_passages) with ordinality as p (passage, place);

  insert into private.index_jobs as j (document_id, user_id, revision, embedding_model)
  values (v_document.id, v_user_id, v_revision, p_embedding_model)
  on conflict (document_id) do update
  set
    revision = excluded.revision, embedding_model = excluded.embedding_model,
    worker = null, due_at = now(), attempts = 0, created_at = now();

  return jsonb_build_object('created', v_known.id is null, 'document', to_jsonb(v_document), 'quotas', v_quotas);
end;
$$;

comment on function private.create_document(text, jsonb, text, jsonb, text, uuid, text, integer, integer) is
'Stores a document of auth.uid() and queues it for indexing. See public.create_document.';

grant execute on function private.create_document(text, jsonb, text, jsonb, text, uuid, text, integer, integer) to authenticated;
