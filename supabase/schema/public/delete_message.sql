-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.delete_message(
  p_message_id uuid
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.delete_message(p_message_id) $$;

comment on function public.delete_message(uuid) is
'Deletes a message of the caller and all that follow it. Replies among them that are being written end. Where the shown branch ended below it, the conversation shows the branch through a sibling, else the message before it. Returns {head_id, ended: the replies that were being written}. Error: PT404 not_found.';

grant execute on function public.delete_message(uuid) to authenticated;
