-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.postpone_index_job(
  p_worker uuid,
  p_document_id uuid,
  p_error text,
  p_final boolean
) returns boolean
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
'Gives a claimed document back after a failure: it is due again after a pause that doubles; after 12 failures in a row, or at once if p_final, it is failed with p_error, and what it replaced stays. Returns whether it is. For the service.';

grant execute on function public.postpone_index_job(uuid, uuid, text, boolean) to service_role;
