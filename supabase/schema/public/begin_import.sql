-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.begin_import(
  p_conversations integer
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.begin_import(p_conversations) $$;

comment on function public.begin_import(integer) is
'Begins an import of the caller with that many conversations, which the service then fills. Returns its row. Error: PT409 conflict, while another one is running.';

grant execute on function public.begin_import(integer) to authenticated;
