-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.stop_reply(
  p_message_id uuid
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.stop_reply(p_message_id) $$;

comment on function public.stop_reply(uuid) is
'Asks the writer of the caller''s reply to stop; it does so with its next journal write. Returns the reply as it is now. Error: PT404 not_found.';

grant execute on function public.stop_reply(uuid) to authenticated;
