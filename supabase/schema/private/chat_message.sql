-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.chat_message(
  p_conversation_id uuid,
  p_id text
) returns public.messages
language sql
stable
security definer
set search_path = ''
as $$
  select found.*
  from (
    select private.as_uuid(lower(p_id)) as id
    union all
    select k.message_id from private.chat_messages as k
    where k.conversation_id = p_conversation_id and k.client_id = p_id
  ) as named
  -- the other conditions are in no index's terms: `is true` keeps them from that
  cross join lateral (
    select m.* from public.messages as m
    where m.id = named.id and (m.conversation_id = p_conversation_id and m.user_id = auth.uid()) is true
    offset 0
  ) as found
  order by found.position desc
  limit 1
$$;

comment on function private.chat_message(uuid, text) is
'The message of auth.uid() that a client calls by this id, of several versions the newest. Its own id is one that a client may use.';
