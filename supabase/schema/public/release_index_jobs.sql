-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.release_index_jobs(
  p_worker uuid
) returns boolean
language sql
security invoker
set search_path = ''
as $$
  update private.index_jobs as j set worker = null, due_at = now() where j.worker = p_worker;
  select true
$$;

comment on function public.release_index_jobs(uuid) is
'Gives back all that p_worker has claimed, as it ends: another replica goes on at once. Returns true. For the service.';

grant execute on function public.release_index_jobs(uuid) to service_role;
