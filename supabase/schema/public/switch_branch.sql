-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.switch_branch(
  p_conversation_id uuid,
  p_message_id uuid
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.switch_branch(p_conversation_id, p_message_id) $$;

comment on function public.switch_branch(uuid, uuid) is
'Shows the branch through a message of the caller''s conversation, down to its newest end, on every device. Returns the conversation. Errors: PT404 not_found, PT422 invalid_request (no such message).';

grant execute on function public.switch_branch(uuid, uuid) to authenticated;
