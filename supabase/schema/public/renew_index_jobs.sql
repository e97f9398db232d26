-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.renew_index_jobs(
  p_worker uuid,
  p_document_ids uuid[]
) returns boolean
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

grant execute on function public.renew_index_jobs(uuid, uuid[]) to service_role;
