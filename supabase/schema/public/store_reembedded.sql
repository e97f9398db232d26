-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.store_reembedded(
  p_model text,
  p_document_id uuid,
  p_revision bigint,
  p_vectors jsonb
) returns boolean
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_document public.documents;
begin
  -- held against a replacement, whose passages are others
  select * into v_document from public.documents as d
  where d.id = p_document_id and d.next_revision = p_revision and d.status in ('ready', 'failed')
  for no key update;
  if not found then
    return false;
  end if;
  insert into public.embeddings (
    document_id, user_id, revision, passage, content, metadata, embedding, embedding_model
  )
  select
    e.document_id, e.user_id, p_revision, e.passage, e.content, e.metadata, v.embedding::extensions.vector, p_model
  from jsonb_to_recordset(p_vectors) as v (passage integer, embedding text)
  join public.embeddings as e
    on e.document_id = p_document_id and e.user_id = v_document.user_id and e.revision = v_document.revision
    and e.passage = v.passage and e.embedding_model = v_document.embedding_model
  -- a repeated call changes nothing
  on conflict do nothing;

  if not exists (
    select from public.embeddings as e
    where
      e.document_id = p_document_id and e.user_id = v_document.user_id
      and e.revision = v_document.revision and e.embedding_model = v_document.embedding_model
      and not exists (
        select from public.embeddings as f
        where
          f.document_id = p_document_id and f.user_id = v_document.user_id
          and f.revision = p_revision and f.passage = e.passage and f.embedding_model = p_model
      )
  ) then
    -- the swap, as when a document has been indexed
    delete from public.embeddings as e
    where e.document_id = p_document_id and (e.revision <> p_revision or e.embedding_model <> p_model);
    update public.documents as d
    set embedding_model = p_model, revision = p_revision, next_revision = null
    where d.id = p_document_id;
  end if;
  return true;
end;
$$;

comment on function public.store_reembedded(text, uuid, bigint, jsonb) is
'Stores vectors [{passage, embedding}] of p_model. With the last of a document the old vectors are deleted, and the new ones searched. A document that has been replaced or deleted meanwhile is left alone: false. For the service.';

grant execute on function public.store_reembedded(text, uuid, bigint, jsonb) to service_role;
