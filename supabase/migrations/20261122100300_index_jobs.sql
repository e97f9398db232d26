-- The indexer's writes: claim a document, store a batch of its vectors and take the next texts, swap, or give up.
create function private.index_lease() returns interval
language sql
immutable
set search_path = ''
as $$ select interval '15 seconds' $$;

comment on function private.index_lease() is
'How long a document may go without a word of its indexer before another replica takes it over.';

create function public.claim_index_jobs(p_worker uuid, p_embedding_model text, p_limit integer) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  with waiting as (
    select
      w.document_id,
      -- one document of each owner in turn: a thousand uploads of one do not hold up another's only one
      row_number() over (partition by w.user_id order by w.created_at) as turn
    from private.index_jobs as w
    where w.due_at <= now()
    -- whom another model would suit better is left a minute to be taken by a replica that has it
    and (
      w.embedding_model is null or w.embedding_model = p_embedding_model or w.due_at <= now() - interval '1 minute'
    )
  ), chosen as (
    select j.document_id
    from private.index_jobs as j
    join waiting as w on w.document_id = j.document_id
    where j.due_at <= now()
    order by w.turn, j.created_at
    limit p_limit
    for update of j skip locked
  ), claimed as (
    update private.index_jobs as j
    set worker = p_worker, due_at = now() + private.index_lease()
    from chosen as c
    where j.document_id = c.document_id
    returning j.document_id, j.revision
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'document_id', c.document_id, 'revision', c.revision, 'passages', d.passages
  )), '[]')
  from claimed as c
  join public.documents as d on d.id = c.document_id
$$;

comment on function public.claim_index_jobs(uuid, text, integer) is
'Gives at most p_limit documents that wait for indexing to p_worker, for the time of a lease: '
'[{document_id, revision, passages}]. For the service.';

create function public.renew_index_jobs(p_worker uuid, p_document_ids uuid[]) returns boolean
language sql
security invoker
set search_path = ''
as $$
  update private.index_jobs as j
  set due_at = now() + private.index_lease()
  where j.document_id = any(p_document_ids) and j.worker = p_worker;
  select true
$$;

comment on function public.renew_index_jobs(uuid, uuid[]) is
'Renews p_worker''s leases, while it waits for vectors. Returns true. For the service.';

create function public.index_passages(
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
    limit p_limit
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
'Stores vectors [{passage, embedding}] of the document that p_worker has claimed, renews the lease, and returns {state, '
'passages: the next [{passage, content}], at most p_limit}. State: indexing; ready, when that was all and the '
'passages are now the ones that are searched; or lost, when the document is not p_worker''s to index. For the service.';

create function public.postpone_index_job(p_worker uuid, p_document_id uuid, p_error text, p_final boolean)
returns boolean
language plpgsql
security invoker
set search_path = ''
as $$
declare
  -- with the pauses below, about a quarter of an hour
  c_attempts constant integer := 12;

  v_job private.index_jobs;
begin
  perform from public.documents as d where d.id = p_document_id for no key update;
  update private.index_jobs as j
  set
    worker = null,
    attempts = j.attempts + 1,
    due_at = now() + least(interval '120 seconds', interval '2 seconds' * 2 ^ least(j.attempts, 10))
  where j.document_id = p_document_id and j.worker = p_worker
  returning * into v_job;
  if found and (p_final or v_job.attempts >= c_attempts) then
    delete from private.index_jobs as j where j.document_id = p_document_id;
    delete from private.document_passages as p where p.document_id = p_document_id;
    delete from public.embeddings as e where e.document_id = p_document_id and e.revision = v_job.revision;
    update public.documents as d
    set status = 'failed', error = left(p_error, 500), next_revision = null
    where d.id = p_document_id;
    return true;
  end if;
  return false;
end;
$$;

comment on function public.postpone_index_job(uuid, uuid, text, boolean) is
'Gives a claimed document back after a failure: it is due again after a pause that doubles; after 12 failures in a row, '
'or at once if p_final, it is failed with p_error, and what it replaced stays. Returns whether it is. For the service.';

create function public.release_index_jobs(p_worker uuid) returns boolean
language sql
security invoker
set search_path = ''
as $$
  update private.index_jobs as j set worker = null, due_at = now() where j.worker = p_worker;
  select true
$$;

comment on function public.release_index_jobs(uuid) is
'Gives back all that p_worker has claimed, as it ends: another replica goes on at once. Returns true. For the service.';

revoke all on function private.index_lease() from public, anon, authenticated;
revoke all on function public.claim_index_jobs(uuid, text, integer) from public, anon, authenticated;
revoke all on function public.renew_index_jobs(uuid, uuid[]) from public, anon, authenticated;
revoke all on function public.release_index_jobs(uuid) from public, anon, authenticated;
revoke all on function public.index_passages(uuid, uuid, bigint, text, jsonb, integer) from public, anon, authenticated;
revoke all on function public.postpone_index_job(uuid, uuid, text, boolean) from public, anon, authenticated;
grant execute on function private.index_lease() to service_role;
grant execute on function public.claim_index_jobs(uuid, text, integer) to service_role;
grant execute on function public.renew_index_jobs(uuid, uuid[]) to service_role;
grant execute on function public.release_index_jobs(uuid) to service_role;
grant execute on function public.index_passages(uuid, uuid, bigint, text, jsonb, integer) to service_role;
grant execute on function public.postpone_index_job(uuid, uuid, text, boolean) to service_role;
