-- Before the code: nothing of it changes. A message of a conversation is looked up by its id, one by one.
-- A turn of a chat looked for the client's ids among all messages of the conversation, each time. And where the statistics took
-- the table for an empty one, each step along a branch was merged with all of it.

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

create or replace function private.turn_history(
  p_asked public.messages,
  p_tokens integer
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  -- newest first until a limit is met
  with recursive branch as (
    select
      m.id, m.parent_id, m.position, m.role, m.content, 1 as steps,
      (m.status <> 'streaming' and m.content <> '' and m.flagged is null and m.screened)::integer as usable
    from public.messages as m
    where m.id = p_asked.parent_id
    union all
    select
      m.id, m.parent_id, m.position, m.role, m.content, b.steps + 1,
      b.usable + (m.status <> 'streaming' and m.content <> '' and m.flagged is null and m.screened)::integer
    from branch as b
    cross join lateral (select o.* from public.messages as o where o.id = b.parent_id offset 0) as m
    where b.usable < 100 and b.steps < 400
  )
  select coalesce(
    jsonb_agg(jsonb_build_object('role', h.role, 'content', h.content) order by h.position), '[]'
  )
  from (
    select
      n.*,
      sum(char_length(n.content)) over (order by n.position desc) as characters,
      -- private.estimate_tokens, written out: it is asked a hundred times
      sum((octet_length(n.content) + 3) / 4) over (order by n.position desc) as tokens
    from (
      select b.*, lag(b.usable, 1, 0) over (order by b.steps) as usable_before
      from branch as b
    ) as n
    where
      n.usable > n.usable_before
      -- no answer without its question
      and (n.role <> 'assistant' or n.parent_id is null or (
        select p.flagged is null and p.screened from public.messages as p where p.id = n.parent_id
      ))
  ) as h
  where h.characters <= 400000 and h.tokens <= p_tokens
$$;

create or replace function private.switch_branch(
  p_conversation_id uuid,
  p_message_id uuid
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := auth.uid();
  v_conversation public.conversations;
  v_message public.messages;
begin
  -- not while a turn begins or a message is deleted
  perform pg_advisory_xact_lock(hashtextextended(v_user_id::text, 0));
  select * into v_conversation from public.conversations as c
  where c.id = p_conversation_id and c.user_id = v_user_id
  for no key update;
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such conversation.';
  end if;
  perform private.plant_tree(p_conversation_id);
  select * into v_conversation from public.conversations as c where c.id = p_conversation_id;
  select * into v_message from public.messages as m
  where m.id = p_message_id and (m.conversation_id = p_conversation_id) is true;
  if not found then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = 'head_id: no such message in this conversation.';
  end if;

  -- a message that is shown already is on the branch that stays
  if not exists (
    with recursive branch as (
      select m.id, m.parent_id, m.position from public.messages as m where m.id = v_conversation.head_id
      union all
      select p.id, p.parent_id, p.position
      from branch as b
      cross join lateral (
        select m.id, m.parent_id, m.position from public.messages as m where m.id = b.parent_id offset 0
      ) as p
      where b.position > v_message.position
    )
    select from branch as b where b.id = v_message.id
  ) then
    v_conversation.head_id := private.leaf(p_message_id);
    update public.conversations as c
    set head_id = v_conversation.head_id, preview = private.preview(v_conversation.head_id)
    where c.id = p_conversation_id
    returning * into v_conversation;
    perform private.announce_head(p_conversation_id, v_conversation.head_id);
  end if;
  return to_jsonb(v_conversation);
end;
$$;

create or replace function private.delete_message(
  p_message_id uuid
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_user_id uuid := auth.uid();
  v_conversation public.conversations;
  v_head_id uuid;
  v_gone uuid[];
  v_ended jsonb;
begin
  -- not while a turn begins or a branch is switched
  perform pg_advisory_xact_lock(hashtextextended(v_user_id::text, 0));
  select m.conversation_id into v_conversation.id from public.messages as m
  where m.id = p_message_id and (m.user_id = v_user_id) is true;
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such message.';
  end if;
  perform private.plant_tree(v_conversation.id);
  select c.head_id into v_head_id from public.conversations as c where c.id = v_conversation.id;

  with recursive below as (
    select p_message_id as id
    union all
    select m.id
    from below as b
    cross join lateral (select o.id from public.messages as o where o.parent_id = b.id offset 0) as m
  )
  select array_agg(b.id) into v_gone from below as b;
  -- in one statement: the foreign key's cascade goes a level of the stack deeper with each message
  with gone as (
    delete from public.messages as m where m.id = any(v_gone)
    returning m.id, m.status
  )
  select coalesce(jsonb_agg(g.id) filter (where g.status = 'streaming'), '[]') into v_ended from gone as g;

  select * into v_conversation from public.conversations as c where c.id = v_conversation.id;
  if v_conversation.head_id is distinct from v_head_id then
    perform private.announce_head(v_conversation.id, v_conversation.head_id);
  end if;
  return jsonb_build_object('head_id', v_conversation.head_id, 'ended', v_ended);
end;
$$;
