-- Before the code: pages of at most 200 messages, which is more than the API asks for; more was never a page of its own.
-- Whoever names messages on both sides reads what leads to the later one, forward as backward: before, the direction decided
-- whether it was that branch or the shown one. A message is looked up by its id alone: with the conversation as a condition,
-- too, all of that was read where the statistics did not know it.

create or replace function private.read_branch(
  p_conversation_id uuid,
  p_before bigint default null,
  p_after bigint default null,
  p_before_id uuid default null,
  p_after_id uuid default null,
  p_backward boolean default false,
  p_limit integer default 50
) returns jsonb
language plpgsql
security definer
set search_path = ''
set enable_seqscan = off
as $$
declare
  c_most constant integer := 200;
  v_limit constant integer := coalesce(p_limit, 50);
  v_before bigint := p_before;
  v_after bigint := coalesce(p_after, 0);
  v_last_id uuid;
  v_planted boolean;
  v_bound public.messages;
  v_page jsonb;
begin
  if v_limit not between 1 and c_most then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format('p_limit: expected 1 to %s, not %s.', c_most, v_limit);
  end if;
  select c.head_id, c.message_count is not null into v_last_id, v_planted
  from public.conversations as c
  where c.id = p_conversation_id and c.user_id = (select auth.uid());
  if not found then
    return null;
  end if;
  if not v_planted then
    perform private.plant_tree(p_conversation_id);
    select c.head_id into v_last_id from public.conversations as c where c.id = p_conversation_id;
  end if;

  if p_after_id is not null then
    select m.position into v_after from public.messages as m
    where m.id = p_after_id and (m.conversation_id = p_conversation_id) is true;
    if not found then
      raise exception using errcode = 'PT422', message = 'invalid_request',
        detail = 'after: no such message in this conversation.';
    end if;
  end if;
  if p_before_id is not null or p_before is not null then
    select * into v_bound from public.messages as m
    where (m.id = p_before_id or m.position = p_before) and (m.conversation_id = p_conversation_id) is true;
    if found then
      v_before := v_bound.position;
    elsif p_before_id is not null then
      raise exception using errcode = 'PT422', message = 'invalid_request',
        detail = 'before: no such message in this conversation.';
    end if;
    -- what leads to a message is on its own branch, wherever the head is
    if v_bound.id is not null then
      v_last_id := v_bound.parent_id;
    end if;
  end if;

  with recursive branch as (
    select m.id, m.parent_id, m.position, (m.position < coalesce(v_before, m.position + 1))::integer as taken
    from public.messages as m
    where m.id = v_last_id
    union all
    select p.id, p.parent_id, p.position, b.taken + (p.position < coalesce(v_before, p.position + 1))::integer
    from branch as b
    -- one by one, whatever the planner thinks of the size of the table: it would merge with all of it
    cross join lateral (
      select m.id, m.parent_id, m.position from public.messages as m where m.id = b.parent_id offset 0
    ) as p
    -- a message follows one that is older, so positions fall along the way
    where b.position > v_after and (not p_backward or b.taken < v_limit)
  ), page as (
    select b.id from branch as b
    where b.position > v_after and (v_before is null or b.position < v_before)
    order by case when p_backward then -b.position else b.position end
    limit v_limit
  )
  select coalesce(
    jsonb_agg(
      to_jsonb(found.message) || jsonb_build_object('siblings', private.siblings(found.message))
      order by case when p_backward then -(found.message).position else (found.message).position end
    ),
    '[]'
  )
  into v_page
  from page as p
  cross join lateral (select m as message from public.messages as m where m.id = p.id offset 0) as found;
  return v_page;
end;
$$;

comment on function public.read_branch(uuid, bigint, bigint, uuid, uuid, boolean, integer) is
'A page of the shown branch of the caller''s conversation, at most p_limit messages (50 by default, 1 to 200), each with its siblings {index, count, previous_id, next_id} or null: forward the first ones, backward the last ones, newest first, of those between p_after and p_before, which are positions or, with _id, messages. Before a message are those that lead to it, on whichever branch it is. Null when there is no such conversation. Error: PT422 invalid_request (no such message, p_limit).';

comment on function public.read_chat(text, bigint, integer) is
'The last p_limit messages (50 by default, 1 to 200) of the shown branch of the caller''s chat, newest first, of those before the position p_before, as read_branch has them. None where there is no such chat. Error: PT422 invalid_request (p_limit).';
