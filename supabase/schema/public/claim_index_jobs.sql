-- Written by `make schema` from the migrations: to change it, add a migration.

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

grant execute on function public.claim_index_jobs(uuid, text, integer) to service_role;
