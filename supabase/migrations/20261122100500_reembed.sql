-- Moving passages to another embedding model: a document's new vectors are hidden until they are whole, then take the
-- place of the old ones all at once. So every document is searched throughout, under one model or the other.
create function public.passages_to_reembed(p_model text, p_limit integer) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_document public.documents;
  v_passages jsonb;
begin
  -- what a move to yet another model, given up since, has left
  with moved_back as (
    update public.documents as d
    set next_revision = null
    where d.embedding_model = p_model and d.next_revision is not null and d.status in ('ready', 'failed')
    returning d.id, d.revision
  )
  delete from public.embeddings as e
  using moved_back as d
  where e.document_id = d.id and e.revision <> d.revision;

  -- one owner after the other, so that each has two models for as short as possible; a document that is being replaced
  -- gets its model with its new content
  select * into v_document from public.documents as d
  where d.revision is not null and d.embedding_model <> p_model and d.status in ('ready', 'failed')
  order by d.user_id, d.id
  limit 1
  for no key update;
  if not found then
    return null;
  end if;
  if v_document.next_revision is null then
    update public.documents as d set next_revision = nextval('private.revisions')
    where d.id = v_document.id
    returning * into v_document;
  end if;

  select coalesce(jsonb_agg(jsonb_build_object('passage', n.passage, 'content', n.content)), '[]') into v_passages
  from (
    select e.passage, e.content
    from public.embeddings as e
    where
      e.document_id = v_document.id and e.user_id = v_document.user_id
      and e.revision = v_document.revision and e.embedding_model = v_document.embedding_model
      and not exists (
        select from public.embeddings as f
        where
          f.document_id = v_document.id and f.user_id = v_document.user_id
          and f.revision = v_document.next_revision and f.passage = e.passage and f.embedding_model = p_model
      )
    order by e.passage
    limit p_limit
  ) as n;
  return jsonb_build_object(
    'document_id', v_document.id, 'revision', v_document.next_revision, 'passages', v_passages
  );
end;
$$;

comment on function public.passages_to_reembed(text, integer) is
'The next document whose vectors are not p_model''s: {document_id, revision: of the new vectors, passages: those without one '
'yet, at most p_limit of [{passage, content}]}. Null when there is none. For the service.';

create function public.store_reembedded(p_model text, p_document_id uuid, p_revision bigint, p_vectors jsonb)
returns boolean
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
'Stores vectors [{passage, embedding}] of p_model. With the last of a document the old vectors are deleted, and the new ones '
'searched. A document that has been replaced or deleted meanwhile is left alone: false. For the service.';

create function public.reembed_progress(p_model text) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'documents', count(*),
    'passages', coalesce(sum(d.passages), 0),
    'documents_left', count(*) filter (where d.embedding_model <> p_model),
    'passages_left', coalesce(sum(d.passages) filter (where d.embedding_model <> p_model), 0)
  )
  from public.documents as d
  where d.revision is not null
$$;

comment on function public.reembed_progress(text) is
'{documents, passages, documents_left, passages_left}: how much is indexed, and how much of it not under p_model. For the service.';

revoke all on function public.passages_to_reembed(text, integer) from public, anon, authenticated;
revoke all on function public.store_reembedded(text, uuid, bigint, jsonb) from public, anon, authenticated;
revoke all on function public.reembed_progress(text) from public, anon, authenticated;
grant usage on sequence private.revisions to service_role;
grant execute on function public.passages_to_reembed(text, integer) to service_role;
grant execute on function public.store_reembedded(text, uuid, bigint, jsonb) to service_role;
grant execute on function public.reembed_progress(text) to service_role;
