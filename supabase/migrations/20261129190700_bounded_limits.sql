-- Before the code: it asks for less. How many documents or passages the service asks for at once is at most 1,000; a number
-- below zero was an error of Postgres' own, and one without end had all of them. Neither is a place beyond any text an error.

create or replace function public.claim_index_jobs(
  p_worker uuid,
  p_embedding_model text,
  p_limit integer
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  with indexing as (
    select i.user_id, count(*) as documents
    from private.index_jobs as i
    where i.worker = p_worker and i.due_at > now()
    group by i.user_id
  ), waiting as (
    select
      w.document_id,
      -- one document of each owner in turn: a thousand uploads of one do not hold up another's only one
      coalesce(i.documents, 0) + row_number() over (partition by w.user_id order by w.created_at) as turn
    from private.index_jobs as w
    left join indexing as i on i.user_id = w.user_id
    where w.due_at <= now()
    -- whom another model would suit better is left a minute to be taken by a replica that has it
    and (
      w.embedding_model is null or w.embedding_model = p_embedding_model or w.due_at <= now() - interval '1 minute'
    )
  ), chosen as (
    select j.document_id
    from private.index_jobs as j
    join waiting as w on w.document_id = j.document_id
    -- two of an owner at a time, or documents that take long would leave no place for another owner's
    where j.due_at <= now() and w.turn <= 2
    order by w.turn, j.created_at
    limit least(greatest(p_limit, 0), 1000)
    for update of j skip locked
  ), claimed as (
    update private.index_jobs as j
    set worker = p_worker, due_at = now() + private.index_lease()
    from chosen as c
    where j.document_id = c.document_id
    returning j.document_id, j.revision, j.user_id
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'document_id', c.document_id, 'revision', c.revision, 'passages', d.passages, 'user_id', c.user_id
  )), '[]')
  from claimed as c
  join public.documents as d on d.id = c.document_id
$$;

comment on function public.claim_index_jobs(uuid, text, integer) is
'Gives at most p_limit (1,000 at the most) documents that wait for indexing to p_worker, for the time of a lease, so that it has at most two of one owner: [{document_id, revision, passages, user_id}]. For the service.';

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

create or replace function public.passages_to_reembed(
  p_model text,
  p_limit integer
) returns jsonb
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
    limit least(greatest(p_limit, 1), 1000)
  ) as n;
  return jsonb_build_object(
    'document_id', v_document.id, 'revision', v_document.next_revision, 'passages', v_passages
  );
end;
$$;

comment on function public.passages_to_reembed(text, integer) is
'The next document whose vectors are not p_model''s: {document_id, revision: of the new vectors, passages: those without one yet, at most p_limit (1 to 1,000) of [{passage, content}]}. Null when there is none. For the service.';

create or replace function public.read_reply(
  p_message_id uuid,
  p_after integer,
  p_reasoned integer default 0
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'text', substr(m.content, case when p_after < 2147483647 then p_after + 1 else p_after end),
    'reasoning', substr(m.reasoning, case when p_reasoned < 2147483647 then p_reasoned + 1 else p_reasoned end),
    'message', to_jsonb(m) - 'content' - 'reasoning',
    'length', case when m.status <> 'streaming' then char_length(m.content) end,
    'reasoned', case when m.status <> 'streaming' then char_length(m.reasoning) end
  )
  from public.messages as m
  where m.id = p_message_id and m.user_id = (select auth.uid()) and m.role = 'assistant'
$$;
