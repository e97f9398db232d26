-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.set_feedback(
  p_message_id uuid,
  p_rating text default null,
  p_comment text default null
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.set_feedback(p_message_id, p_rating, p_comment) $$;

comment on function public.set_feedback(uuid, text, text) is
'Says what the caller thinks of a reply of theirs, in place of what they said before: p_rating up or down, p_comment at most 2,000 characters or null. Without p_rating it is taken back. Returns the message as read_message does. Errors: PT404 not_found, PT422 invalid_request.';

grant execute on function public.set_feedback(uuid, text, text) to authenticated;
