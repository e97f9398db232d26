-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.index_waiting_texts() returns boolean
language sql
security invoker
set search_path = ''
as $$
  select bool_or(w.more)
  from (values (private.index_waiting_texts()), (private.index_large_owners())) as w (more)
$$;

comment on function public.index_waiting_texts() is
'Makes some of the texts searchable that were not indexed while they were written, and puts some passages of large owners into their index. Returns whether there may be more. For the service.';

grant execute on function public.index_waiting_texts() to service_role;
