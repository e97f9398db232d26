-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.begin_chat_turn(
  p_writer uuid,
  p_reply_id uuid,
  p_chat_id text,
  p_message_id text,
  p_content text,
  p_regenerate boolean,
  p_edited boolean,
  p_target_id text,
  p_seen text[],
  p_idempotency_key text,
  p_request_hash text,
  p_max_tokens integer,
  p_offer jsonb
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_id_characters constant integer := 255;
  c_seen constant integer := 50;

  v_user_id constant uuid := auth.uid();
  v_conversation public.conversations;
  v_head_id uuid;
  v_known public.messages;
  v_reply public.messages;
  v_parent public.messages;
  v_asked_again uuid;
  v_edited boolean := false;
  v_key text := p_idempotency_key;
  v_seen_id text;
  v_begun jsonb;
begin
  if v_user_id is null then
    raise exception using errcode = 'PT401', message = 'unauthenticated', detail = 'A signed-in user is required.';
  end if;
  if p_chat_id is null or char_length(p_chat_id) not between 1 and c_id_characters
    or char_length(p_message_id) not between 1 and c_id_characters or cardinality(p_seen) > c_seen then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format('p_chat_id, p_message_id: expected 1 to %s characters; p_seen: at most %s.', c_id_characters, c_seen);
  end if;

  -- what a device that says nothing of its history continues is the head of now, as in begin_turn
  select * into v_conversation from public.conversations as c where c.id = private.chat_conversation(p_chat_id);
  v_head_id := v_conversation.head_id;

  -- a chat's turns begin one at a time, so that a request that is sent twice begins one
  perform pg_advisory_xact_lock(hashtextextended(v_user_id::text, 0));
  select * into v_conversation from public.conversations as c where c.id = private.chat_conversation(p_chat_id);

  -- the same call once more, because its answer was lost on the way
  if exists (
    select from private.live_replies as l
    where l.message_id = p_reply_id and l.user_id = v_user_id and l.writer = p_writer
  ) then
    return private.begin_turn(
      p_writer, p_reply_id, v_conversation.id, null, null, null, null, p_max_tokens, p_offer
    ) || jsonb_build_object('title', v_conversation.title);
  end if;

  if v_conversation.id is not null and v_conversation.message_count is null then
    perform private.plant_tree(v_conversation.id);
  end if;

  if v_conversation.id is null then
    if p_content is null then
      raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such chat.';
    end if;
    insert into public.conversations (user_id) values (v_user_id) returning * into v_conversation;
    insert into private.chats (user_id, chat_id, conversation_id) values (v_user_id, p_chat_id, v_conversation.id);
  else
    if p_content is null then
      v_known := private.chat_message(v_conversation.id, p_target_id);
      if v_known.id is null then
        raise exception using errcode = 'PT404', message = 'not_found', detail = 'messageId: no such message in this chat.';
      end if;
    else
      -- of several versions, the one with these words
      select found.* into v_known
      from (
        select private.as_uuid(lower(p_message_id)) as id
        union all
        select k.message_id from private.chat_messages as k
        where k.conversation_id = v_conversation.id and k.client_id = p_message_id
      ) as named
      cross join lateral (
        select m.* from public.messages as m
        where m.id = named.id and (m.conversation_id = v_conversation.id and m.role = 'user') is true
        offset 0
      ) as found
      order by (not p_edited and found.content = p_content) desc, found.position desc
      limit 1;
    end if;
  end if;

  if v_known.id is not null and v_known.role = 'user' and p_content is not null then
    v_edited := v_known.content <> p_content or (
      p_edited and not p_regenerate
      and not coalesce((select k.edited from private.chat_messages as k where k.message_id = v_known.id), false)
    );
  end if;

  if v_known.id is not null and not v_edited then
    select m.* into v_reply from public.messages as m
    where m.parent_id = coalesce(case v_known.role when 'assistant' then v_known.parent_id end, v_known.id)
    and m.role = 'assistant'
    order by m.version desc
    limit 1;
    -- sent once more; or answered again already, and asked once more while that is written
    if v_reply.id is not null and (
      not p_regenerate or (p_target_id is null and v_reply.version > 1 and v_reply.status = 'streaming')
    ) then
      select * into v_known from public.messages as m where m.id = v_reply.parent_id;
      return jsonb_build_object(
        'replayed', true, 'user_message', to_jsonb(v_known), 'message', to_jsonb(v_reply), 'title', v_conversation.title
      );
    end if;
    v_asked_again := v_known.id;
    -- a reply is answered anew once, however often that is asked for
    if v_key is null and p_regenerate and p_target_id is not null then
      select 'chat ' || t.id into v_key
      from private.chat_message(v_conversation.id, p_target_id) as t
      where t.role = 'assistant' and t.parent_id = v_reply.parent_id and (
        t.id = v_reply.id or exists (
          select from private.idempotency_keys as i
          where i.user_id = v_user_id and i.key = 'chat ' || t.id and i.message_id = v_reply.id
        )
      );
    end if;
    -- who asks for another reply reads this one no more
    if v_reply.status = 'streaming' and not exists (
      select from private.idempotency_keys as i where i.user_id = v_user_id and i.key = v_key
    ) then
      select * into v_known from public.messages as m where m.id = v_reply.parent_id;
      return jsonb_build_object(
        'replayed', true, 'busy', true, 'user_message', to_jsonb(v_known), 'message', to_jsonb(v_reply)
      );
    end if;
  elsif v_edited then
    select * into v_parent from public.messages as m where m.id = v_known.parent_id;
  else
    -- the newest message that the client shows and that is there
    foreach v_seen_id in array coalesce(p_seen, '{}') loop
      v_parent := private.chat_message(v_conversation.id, v_seen_id);
      exit when v_parent.id is not null;
    end loop;
    if v_parent.id is null then
      select * into v_parent from public.messages as m
      where m.id = coalesce(
        (select h.id from public.messages as h where h.id = v_head_id),
        (select c.head_id from public.conversations as c where c.id = v_conversation.id)
      );
    end if;
    -- a message that was answered is followed by its reply
    if v_parent.role = 'user' then
      select m.* into v_reply from public.messages as m
      where m.parent_id = v_parent.id and m.role = 'assistant'
      order by m.version desc
      limit 1;
      if found then
        v_parent := v_reply;
      end if;
    end if;
  end if;

  v_begun := private.begin_turn(
    p_writer, p_reply_id, v_conversation.id, case when v_asked_again is null then p_content end, v_asked_again,
    v_key, case when v_key = p_idempotency_key then p_request_hash end, p_max_tokens, p_offer,
    v_parent.id, v_asked_again is null and v_parent.id is null
  );
  if v_asked_again is null and not (v_begun ->> 'replayed')::boolean then
    insert into private.chat_messages (message_id, user_id, conversation_id, client_id, edited)
    values ((v_begun -> 'user_message' ->> 'id')::uuid, v_user_id, v_conversation.id, p_message_id, v_edited);
  end if;
  return v_begun || jsonb_build_object('title', v_conversation.title);
end;
$$;

comment on function private.begin_chat_turn(uuid, uuid, text, text, text, boolean, boolean, text, text[], text, text, integer, jsonb) is
'See public.begin_chat_turn.';

grant execute on function private.begin_chat_turn(uuid, uuid, text, text, text, boolean, boolean, text, text[], text, text, integer, jsonb) to authenticated;
