-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.import_messages(
  p_import_id uuid,
  p_conversation jsonb,
  p_messages jsonb,
  p_part text
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.import_messages(p_import_id, p_conversation, p_messages, p_part) $$;

comment on function public.import_messages(uuid, jsonb, jsonb, text) is
'Adds a part of a conversation {id, title, model, head_id, created_at, fresh} with messages, each after the one that it follows, to the user who began the import. What is there is not added again. p_part is last for the last one. Returns {fresh: whether this import made the conversation, which the next part says again, added}. Errors: PT403 limit_reached, PT404 not_found. For the service.';

grant execute on function public.import_messages(uuid, jsonb, jsonb, text) to service_role;
