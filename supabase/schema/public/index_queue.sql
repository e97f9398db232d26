-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.index_queue() returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  with looked_at as (
    -- an end to what one look costs
    select j.worker is not null and j.due_at > now() as running, j.attempts > 0 as failed_before
    from private.index_jobs as j
    limit 100000
  )
  select jsonb_build_object(
    'queued', count(*) filter (where not l.running and not l.failed_before),
    'running', count(*) filter (where l.running),
    'retrying', count(*) filter (where not l.running and l.failed_before),
    'failed', (
      select count(*) from (
        select from public.documents as d
        where d.status = 'failed' and d.updated_at > now() - interval '1 day'
        limit 100000
      ) as f
    ),
    'oldest_seconds', coalesce(
      (select extract(epoch from now() - j.created_at) from private.index_jobs as j order by j.created_at limit 1), 0
    )
  )
  from looked_at as l
$$;

comment on function public.index_queue() is
'How many documents wait to be indexed, are being indexed, wait after a failure, and have failed for good within a day, each counted to 100,000; and the seconds since the oldest job was made, 0 without one: {queued, running, retrying, failed, oldest_seconds}. For the service.';

grant execute on function public.index_queue() to service_role;
