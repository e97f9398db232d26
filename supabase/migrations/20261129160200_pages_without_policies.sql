-- Before the code: it answers the calls of the last release as before.
-- A policy offers the planner one more way to the messages of a branch: all of its user's. Depending on the statistics that
-- seemed the shortest, and a page of a long conversation read all of it. These functions check the owner themselves.

create function private.read_branch(
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
as $$
declare
  v_before bigint := p_before;
  v_after bigint := coalesce(p_after, 0);
  v_last_id uuid;
  v_planted boolean;
  v_bound public.messages;
  v_page jsonb;
begin
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
    where m.id = p_after_id and m.conversation_id = p_conversation_id;
    if not found then
      raise exception using errcode = 'PT422', message = 'invalid_request',
        detail = 'after: no such message in this conversation.';
    end if;
  end if;
  if p_before_id is not null or p_before is not null then
    select * into v_bound from public.messages as m
    where (m.id = p_before_id or m.position = p_before) and m.conversation_id = p_conversation_id;
    if found then
      v_before := v_bound.position;
    elsif p_before_id is not null then
      raise exception using errcode = 'PT422', message = 'invalid_request',
        detail = 'before: no such message in this conversation.';
    end if;
    -- a page further back begins where the one before it ended, not at the head
    if v_bound.id is not null and p_backward then
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
    join public.messages as p on p.id = b.parent_id
    -- a message follows one that is older, so positions fall along the way
    where b.position > v_after and (not p_backward or b.taken < p_limit)
  ), page as (
    select b.id from branch as b
    where b.position > v_after and (v_before is null or b.position < v_before)
    order by case when p_backward then -b.position else b.position end
    limit p_limit
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
  -- one by one, whatever the planner thinks of the length of a page: it would read the conversation for it
  cross join lateral (select m as message from public.messages as m where m.id = p.id offset 0) as found;
  return v_page;
end;
$$;

comment on function private.read_branch(uuid, bigint, bigint, uuid, uuid, boolean, integer) is
'What public.read_branch returns. The caller''s conversations only; a message is its conversation''s owner''s.';

create or replace function public.read_branch(
  p_conversation_id uuid,
  p_before bigint default null,
  p_after bigint default null,
  p_before_id uuid default null,
  p_after_id uuid default null,
  p_backward boolean default false,
  p_limit integer default 50
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  select private.read_branch(p_conversation_id, p_before, p_after, p_before_id, p_after_id, p_backward, p_limit)
$$;

create or replace function private.siblings(p_message public.messages) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select
    case when count(*) > 1 then jsonb_build_object(
      'index', count(*) filter (where s.position <= p_message.position),
      'count', count(*),
      'previous_id', (array_agg(s.id order by s.position desc) filter (where s.position < p_message.position))[1],
      'next_id', (array_agg(s.id order by s.position) filter (where s.position > p_message.position))[1]
    ) end
  from (
    select m.id, m.position, m.user_id from public.messages as m
    where m.parent_id = p_message.parent_id
    union all
    select m.id, m.position, m.user_id from public.messages as m
    where p_message.parent_id is null and m.parent_id is null and m.conversation_id = p_message.conversation_id
  ) as s
  -- the caller may name any message; `is true` keeps this from being looked up in an index
  where (s.user_id = (select auth.uid())) is true
$$;

revoke all on function private.read_branch(uuid, bigint, bigint, uuid, uuid, boolean, integer)
from public, anon, service_role;
grant execute on function private.read_branch(uuid, bigint, bigint, uuid, uuid, boolean, integer) to authenticated;
