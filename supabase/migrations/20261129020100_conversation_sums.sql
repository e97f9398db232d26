-- Before the code: whatever writes messages keeps the sums of their conversation, also replicas of the release before. A
-- statement writes, and tells, a conversation's row once.
set local lock_timeout = '2s';

create or replace function private.count_new_messages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update public.conversations as c
  set
    head_id = n.newest_id,
    preview = private.preview(n.newest_id),
    message_count = c.message_count + n.messages,
    cost_micro_usd = c.cost_micro_usd + n.cost,
    tokens = c.tokens + n.tokens,
    last_message_at = case when c.message_count = 0 then n.newest else greatest(c.last_message_at, n.newest) end
  from (
    select
      i.conversation_id,
      count(*)::integer as messages,
      coalesce(sum(i.cost_micro_usd), 0)::bigint as cost,
      coalesce(sum(i.tokens_used), 0)::bigint as tokens,
      (array_agg(i.id order by i.position desc))[1] as newest_id,
      max(i.created_at) as newest
    from inserted as i
    group by i.conversation_id
  ) as n
  where c.id = n.conversation_id and c.message_count is not null;
  return null;
end;
$$;

alter function private.preview_ended_replies() rename to count_ended_replies;

create or replace function private.count_ended_replies() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_changed uuid[];
  v_kept uuid[];
begin
  select array_agg(a.id) into v_changed
  from after as a
  join before as b on b.id = a.id
  where (a.status, a.cost_micro_usd, a.tokens_used) is distinct from (b.status, b.cost_micro_usd, b.tokens_used);
  if v_changed is null then
    return null;
  end if;
  select coalesce(array_agg(k.id), '{}') into v_kept
  from (
    select c.id from public.conversations as c
    where c.id in (select a.conversation_id from after as a where a.id = any(v_changed))
    for key share skip locked
  ) as k;
  perform from public.conversations as c where c.id = any(v_kept) order by c.id for no key update;
  update public.conversations as c
  set
    preview = case when c.head_id = any(v_changed) then private.preview(c.head_id) else c.preview end,
    cost_micro_usd = c.cost_micro_usd + d.cost,
    tokens = c.tokens + d.tokens
  from (
    select
      a.conversation_id,
      sum(coalesce(a.cost_micro_usd, 0) - coalesce(b.cost_micro_usd, 0))::bigint as cost,
      sum(coalesce(a.tokens_used, 0) - coalesce(b.tokens_used, 0))::bigint as tokens
    from after as a
    join before as b on b.id = a.id
    where a.id = any(v_changed)
    group by a.conversation_id
  ) as d
  where
    c.id = d.conversation_id
    and c.id = any(v_kept)
    and c.message_count is not null
    and (
      (d.cost, d.tokens) <> (0, 0)
      or (c.head_id = any(v_changed) and c.preview is distinct from private.preview(c.head_id))
    );
  return null;
end;
$$;

comment on function private.count_ended_replies() is
'Trigger: a reply that has ended is in its conversation''s sums, and its preview where it is the head.';

alter trigger messages_preview_ended on public.messages rename to messages_count_ended;

create or replace function private.count_deleted_messages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_gone record;
  v_conversation public.conversations;
  v_next uuid;
begin
  for v_gone in
    select
      d.conversation_id, count(*)::integer as messages,
      coalesce(sum(d.cost_micro_usd), 0)::bigint as cost, coalesce(sum(d.tokens_used), 0)::bigint as tokens
    from deleted as d
    group by d.conversation_id
    order by d.conversation_id
  loop
    select * into v_conversation from public.conversations as c
    where c.id = v_gone.conversation_id and c.message_count is not null
    for no key update;
    continue when not found;  -- it goes as a whole
    if exists (select from deleted as d where d.id = v_conversation.head_id) then
      v_next := null;
      select coalesce(
        (
          select s.id from public.messages as s
          where s.parent_id = t.parent_id
          order by s.position > t.position, abs(s.position - t.position)
          limit 1
        ),
        (
          select s.id from public.messages as s
          where t.parent_id is null and s.parent_id is null and s.conversation_id = v_conversation.id
          order by s.position > t.position, abs(s.position - t.position)
          limit 1
        ),
        (select p.id from public.messages as p where p.id = t.parent_id)
      )
      into v_next
      from (
        select d.parent_id, d.position from deleted as d
        where
          d.conversation_id = v_conversation.id
          and not exists (select from deleted as p where p.id = d.parent_id)
        order by d.position
        limit 1
      ) as t;
      v_conversation.head_id := private.leaf(coalesce(
        v_next,
        (
          select m.id from public.messages as m
          where m.conversation_id = v_conversation.id and m.user_id = v_conversation.user_id
          order by m.turn desc, m.position desc
          limit 1
        )
      ));
    end if;
    update public.conversations as c
    set
      head_id = v_conversation.head_id,
      preview = private.preview(v_conversation.head_id),
      message_count = c.message_count - v_gone.messages,
      cost_micro_usd = c.cost_micro_usd - v_gone.cost,
      tokens = c.tokens - v_gone.tokens
    where c.id = v_conversation.id;
  end loop;
  return null;
end;
$$;

create or replace function private.plant_tree(
  p_conversation_id uuid
) returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_head_id uuid;
begin
  perform from public.conversations as c
  where c.id = p_conversation_id and c.message_count is null
  for no key update;
  if not found then
    return;
  end if;

  -- what was said next follows the reply that was read then: the newest one with text
  with said as (
    select m.id, m.position, lag(m.id) over (order by m.position) as previous_id
    from public.messages as m
    where m.conversation_id = p_conversation_id and m.parent_id is null
  ), linked as (
    select s.id, coalesce(
      (
        select r.id from public.messages as r
        where r.parent_id = s.previous_id and r.position < s.position
        order by r.content <> '' desc, r.position desc
        limit 1
      ),
      s.previous_id
    ) as parent_id
    from said as s
    where s.previous_id is not null
  )
  update public.messages as m set parent_id = l.parent_id from linked as l where m.id = l.id;

  -- replies to the last message that was said; the one that streams is the newest
  select coalesce(
    (
      select r.id from public.messages as r
      where r.parent_id = s.id
      order by r.content <> '' or r.status = 'streaming' desc, r.position desc
      limit 1
    ),
    s.id
  )
  into v_head_id
  from (
    select m.id from public.messages as m
    where m.conversation_id = p_conversation_id and m.role <> 'assistant'
    order by m.position desc
    limit 1
  ) as s;

  -- the release before told the ledger alone
  update public.messages as m
  set cost_micro_usd = private.reply_cost(m.id)
  where
    m.conversation_id = p_conversation_id and m.role = 'assistant' and m.cost_micro_usd is null
    and private.reply_cost(m.id) is not null;

  update public.conversations as c
  set
    head_id = v_head_id,
    preview = private.preview(v_head_id),
    message_count = m.messages,
    last_message_at = coalesce(m.newest, c.created_at),
    cost_micro_usd = m.cost,
    tokens = m.tokens
  from (
    select
      count(*)::integer as messages, max(o.created_at) as newest,
      coalesce(sum(o.cost_micro_usd), 0)::bigint as cost, coalesce(sum(o.tokens_used), 0)::bigint as tokens
    from public.messages as o
    where o.conversation_id = p_conversation_id
  ) as m
  where c.id = p_conversation_id;
end;
$$;
