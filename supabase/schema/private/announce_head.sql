-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.announce_head(
  p_conversation_id uuid,
  p_head_id uuid
) returns void
language sql
security invoker
set search_path = ''
as $$
  select realtime.send(
    jsonb_build_object('conversation_id', p_conversation_id, 'head_id', p_head_id),
    'head.changed', 'conversation:' || p_conversation_id, true
  )
$$;

comment on function private.announce_head(uuid, uuid) is
'Broadcasts head.changed: another branch is shown than the one of the newest message.';
