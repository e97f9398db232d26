-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.create_document(
  p_title text,
  p_passages jsonb,
  p_content_hash text,
  p_metadata jsonb default '{}'::jsonb,
  p_media_type text default 'text/plain'::text,
  p_document_id uuid default null,
  p_embedding_model text default null,
  p_pages integer default null,
  p_pages_without_text integer default null
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select private.create_document(
    p_title, p_passages, p_content_hash, p_metadata, p_media_type, p_document_id, p_embedding_model,
    p_pages, p_pages_without_text
  )
$$;

comment on function public.create_document(text, jsonb, text, jsonb, text, uuid, text, integer, integer) is
'Stores a document of the caller with its passages [{content, metadata}] and queues it for indexing; with p_document_id, replaces that one''s, whose old passages are searched until the new are whole. Returns {created, document, quotas: {requests}}: content whose hash the caller has already sent is the same document, and only one that had failed is indexed again. p_pages and p_pages_without_text say how many pages the file has, and how many of them hold no text, such as scans. One request of kind document is charged. Errors: PT401 unauthenticated, PT403 premium_required, PT404 not_found, PT409 conflict, PT413 payload_too_large, PT422 invalid_request, PT429 rate_limited.';

grant execute on function public.create_document(text, jsonb, text, jsonb, text, uuid, text, integer, integer) to authenticated;
