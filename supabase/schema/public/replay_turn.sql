-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.replay_turn(
  p_idempotency_key text,
  p_request_hash text
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$ select private.replay_turn(p_idempotency_key, p_request_hash) $$;

comment on function public.replay_turn(text, text) is
'{replayed, user_message, message} of the turn that the caller began under this Idempotency-Key, or null. Begins nothing. Error: PT422 idempotency_mismatch.';

grant execute on function public.replay_turn(text, text) to authenticated;
