-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.index_waiting_texts() returns boolean
language sql
security invoker
set search_path = ''
as $$
  select private.index_waiting_texts()
$$;

comment on function public.index_waiting_texts() is
'Makes some of the texts searchable that were not indexed while they were written. Returns whether there may be more. For the service.';

grant execute on function public.index_waiting_texts() to service_role;
