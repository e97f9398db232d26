-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.replay_turn(
  p_idempotency_key text,
  p_request_hash text
) returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_claim private.idempotency_keys;
  v_asked public.messages;
  v_reply public.messages;
begin
  select * into v_claim from private.idempotency_keys as k
  where k.user_id = auth.uid() and k.key = p_idempotency_key;
  if not found then
    return null;
  end if;
  if v_claim.request_hash <> coalesce(p_request_hash, '') then
    raise exception using errcode = 'PT422', message = 'idempotency_mismatch',
      detail = 'This Idempotency-Key was used with another request.';
  end if;
  select * into strict v_reply from public.messages as m where m.id = v_claim.message_id;
  select * into strict v_asked from public.messages as m where m.id = v_reply.parent_id;
  return jsonb_build_object('replayed', true, 'user_message', to_jsonb(v_asked), 'message', to_jsonb(v_reply));
end;
$$;

comment on function private.replay_turn(text, text) is
'See public.replay_turn.';

grant execute on function private.replay_turn(text, text) to authenticated;
