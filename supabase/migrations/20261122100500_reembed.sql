-- Moving passages to another embedding model: new vectors beside the old, owner by owner; the old go when all are there.
create function public.passages_to_reembed(p_model text, p_limit integer) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  with document as (
    select d.id, d.user_id, d.revision
    from public.documents as d
    where d.revision is not null and d.embedding_model <> p_model
    -- one owner after the other, so that each is between two models for as short as possible
    order by d.user_id, d.id
    limit 1
  )
  select jsonb_build_object(
    'document_id', d.id,
    'revision', d.revision,
    'passages', coalesce((
      select jsonb_agg(jsonb_build_object('id', n.id, 'content', n.content))
      from (
        select e.id, e.content
        from public.embeddings as e
        where e.document_id = d.id and e.user_id = d.user_id and e.revision = d.revision
        and e.embedding_model <> p_model and not exists (
          select from public.embeddings as f
          where f.document_id = d.id and f.user_id = d.user_id and f.revision = d.revision
          and f.passage = e.passage and f.embedding_model = p_model
        )
        order by e.passage
        limit p_limit
      ) as n
    ), '[]')
  )
  from document as d
$$;

comment on function public.passages_to_reembed(text, integer) is
'The next document whose vectors are not p_model''s: {document_id, revision, passages: those without a vector of it yet, '
'at most p_limit of [{id, content}]}. Null when there is none. For the service.';

create function public.store_reembedded(p_model text, p_document_id uuid, p_revision bigint, p_vectors jsonb)
returns boolean
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_document public.documents;
begin
  -- held against a replacement, which would leave vectors of passages that are no more
  select * into v_document from public.documents as d
  where d.id = p_document_id and d.revision = p_revision
  for update;
  if not found then
    return false;
  end if;
  insert into public.embeddings (
    document_id, user_id, revision, passage, content, metadata, embedding, embedding_model
  )
  select
    e.document_id, e.user_id, e.revision, e.passage, e.content, e.metadata, v.embedding::extensions.vector, p_model
  from jsonb_to_recordset(p_vectors) as v (id uuid, embedding text)
  join public.embeddings as e on e.id = v.id and e.document_id = p_document_id and e.revision = p_revision
  on conflict do nothing;

  if not exists (
    select from public.embeddings as e
    where e.document_id = p_document_id and e.revision = p_revision and e.embedding_model <> p_model
    and not exists (
      select from public.embeddings as f
      where f.document_id = p_document_id and f.user_id = e.user_id and f.revision = p_revision
      and f.passage = e.passage and f.embedding_model = p_model
    )
  ) then
    update public.documents as d set embedding_model = p_model where d.id = p_document_id;
    -- the owner's last: from now on only the new vectors are there to search
    if not exists (
      select from public.documents as d
      where d.user_id = v_document.user_id and d.revision is not null and d.embedding_model <> p_model
    ) then
      delete from public.embeddings as e
      using public.documents as d
      where d.user_id = v_document.user_id and e.document_id = d.id and e.revision = d.revision
      and e.embedding_model <> d.embedding_model;
    end if;
  end if;
  return true;
end;
$$;

comment on function public.store_reembedded(text, uuid, bigint, jsonb) is
'Stores vectors [{id: of the passage under its old model, embedding}] of p_model. With the last of an owner''s documents '
'the old vectors are deleted. A document that has been replaced or deleted meanwhile is left alone: false. For the service.';

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
grant execute on function public.passages_to_reembed(text, integer) to service_role;
grant execute on function public.store_reembedded(text, uuid, bigint, jsonb) to service_role;
grant execute on function public.reembed_progress(text) to service_role;
