-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.index_passages(
  p_worker uuid,
  p_document_id uuid,
  p_revision bigint,
  p_embedding_model text,
  p_vectors jsonb,
  p_limit integer
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_document public.documents;
  v_next jsonb;
  v_indexed integer;
begin
  -- the document first, as everywhere: a replacement at the same time waits, or is waited for
  select * into v_document from public.documents as d where d.id = p_document_id for no key update;
  -- whoever lost the job, to another worker, to a newer content or to a deletion, writes nothing
  perform from private.index_jobs as j
  where j.document_id = p_document_id and j.revision = p_revision and j.worker = p_worker
  for update;
  if not found then
    return jsonb_build_object('state', 'lost', 'passages', '[]'::jsonb);
  end if;

  insert into public.embeddings (
    document_id, user_id, revision, passage, content, metadata, embedding, embedding_model
  )
  select
    v_document.id, v_document.user_id, p_revision, p.passage, p.content, v_document.metadata || p.metadata,
    v.embedding::extensions.vector, p_embedding_model
  from jsonb_to_recordset(p_vectors) as v (passage integer, embedding text)
  join private.document_passages as p
    on p.document_id = p_document_id and p.revision = p_revision and p.passage = v.passage
  -- a repeated call changes nothing
  on conflict do nothing;

  select count(*) into v_indexed
  from public.embeddings as e
  where e.document_id = p_document_id and e.user_id = v_document.user_id
  and e.revision = p_revision and e.embedding_model = p_embedding_model;

  select coalesce(jsonb_agg(jsonb_build_object('passage', n.passage, 'content', n.content)), '[]')
  into v_next
  from (
    select p.passage, p.content
    from private.document_passages as p
    where p.document_id = p_document_id and p.revision = p_revision and not exists (
      select from public.embeddings as e
      where e.document_id = p_document_id and e.user_id = v_document.user_id
      and e.revision = p_revision and e.passage = p.passage and e.embedding_model = p_embedding_model
    )
    order by p.passage
    limit least(greatest(p_limit, 1), 1000)
  ) as n;

  if v_next = '[]' then
    -- the swap: in one transaction the new passages become those that are searched, and the old are gone
    delete from public.embeddings as e
    where e.document_id = p_document_id and (e.revision <> p_revision or e.embedding_model <> p_embedding_model);
    delete from private.document_passages as p where p.document_id = p_document_id;
    delete from private.index_jobs as j where j.document_id = p_document_id;
    update public.documents as d
    set
      status = 'ready', indexed = v_indexed, error = null, embedding_model = p_embedding_model,
      revision = p_revision, next_revision = null
    where d.id = p_document_id;
    return jsonb_build_object('state', 'ready', 'passages', v_next);
  end if;

  update public.documents as d set status = 'indexing', indexed = v_indexed where d.id = p_document_id;
  update private.index_jobs as j
  set
    due_at = now() + private.index_lease(),
    attempts = case when p_vectors = '[]' then j.attempts else 0 end
  where j.document_id = p_document_id;
  return jsonb_build_object('state', 'indexing', 'passages', v_next);
end;
$$;

comment on function public.index_passages(uuid, uuid, bigint, text, jsonb, integer) is
'Stores vectors [{passage, embedding}] of the document that p_worker has claimed, renews the lease, and returns {state, passages: the next [{passage, content}], at most p_limit (1 to 1,000)}. State: indexing; ready, when that was all and the passages are now the ones that are searched; or lost, when the document is not p_worker''s to index. For the service.';

grant execute on function public.index_passages(uuid, uuid, bigint, text, jsonb, integer) to service_role;
