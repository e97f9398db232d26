-- Before the code: it says the same of a document that is too large. The release before sends none that is refused here.
create function private.check_document(
  p_title text, p_passages jsonb, p_content_hash text, p_metadata jsonb, p_media_type text, p_embedding_model text
) returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  c_passages constant integer := 10000;
  c_passage_characters constant integer := 20000;
  c_passage_metadata_bytes constant integer := 8192;
  c_title_characters constant integer := 500;
  c_metadata_bytes constant integer := 4096;
  c_media_type_characters constant integer := 100;
  c_hash_characters constant integer := 128;
  c_model_characters constant integer := 200;

  v_settings private.settings;
  v_count integer;
  v_most integer;
  v_wrong text;
  v_text bigint;
  v_metadata bigint;
begin
  if jsonb_typeof(p_passages) is distinct from 'array' or jsonb_array_length(p_passages) = 0 then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'The document has no text.';
  end if;
  select * into strict v_settings from private.settings;
  v_count := jsonb_array_length(p_passages);
  v_most := least(c_passages, v_settings.document_max_passages);
  if v_count > v_most then
    raise exception using errcode = 'PT413', message = 'payload_too_large',
      detail = format('A document has at most %s passages.', v_most);
  end if;

  v_wrong := case
    when p_title is null or char_length(p_title) not between 1 and c_title_characters then
      format('title: expected 1 to %s characters.', c_title_characters)
    when jsonb_typeof(p_metadata) is distinct from 'object' then 'metadata: expected an object.'
    when octet_length(p_metadata::text) > c_metadata_bytes then
      format('metadata: expected at most %s bytes.', c_metadata_bytes)
    when p_media_type is null or char_length(p_media_type) not between 1 and c_media_type_characters then
      format('media_type: expected 1 to %s characters.', c_media_type_characters)
    when p_content_hash is null then 'The content has no hash.'
    when char_length(p_content_hash) not between 1 and c_hash_characters then
      format('content_hash: expected 1 to %s characters.', c_hash_characters)
    when char_length(p_embedding_model) not between 1 and c_model_characters then
      format('embedding_model: expected 1 to %s characters.', c_model_characters)
  end;
  if v_wrong is not null then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = v_wrong;
  end if;

  select
    sum(p.bytes), sum(p.metadata_bytes),
    case
      when count(*) filter (where p.kind is distinct from 'string' or p.metadata_kind <> 'object') > 0 then
        'passages: expected objects with a text as content, and an object as metadata.'
      when count(*) filter (where p.characters not between 1 and c_passage_characters) > 0 then
        format('passages: expected 1 to %s characters as content.', c_passage_characters)
      when count(*) filter (where p.metadata_bytes > c_passage_metadata_bytes) > 0 then
        format('passages: expected at most %s bytes of metadata.', c_passage_metadata_bytes)
    end
  into v_text, v_metadata, v_wrong
  from (
    select
      jsonb_typeof(e.passage -> 'content') as kind,
      char_length(e.passage ->> 'content') as characters,
      octet_length(e.passage ->> 'content') as bytes,
      jsonb_typeof(coalesce(e.passage -> 'metadata', '{}')) as metadata_kind,
      octet_length(coalesce(e.passage -> 'metadata', '{}')::text) as metadata_bytes
    from jsonb_array_elements(p_passages) as e (passage)
  ) as p;
  if v_text > v_settings.document_max_bytes then
    raise exception using errcode = 'PT413', message = 'payload_too_large',
      detail = format('A document has at most %s bytes of text.', v_settings.document_max_bytes);
  end if;
  if v_wrong is not null then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = v_wrong;
  end if;
  return v_text + v_metadata;
end;
$$;

comment on function private.check_document(text, jsonb, text, jsonb, text, text) is
'Refuses what create_document could not store, before any of it reaches a row: a constraint''s message holds the whole row, '
'and the server''s log the message. Returns how many bytes the passages have.';

revoke all on function private.check_document(text, jsonb, text, jsonb, text, text)
from public, anon, authenticated, service_role;
