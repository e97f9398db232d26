-- Written by `make schema` from the migrations: to change it, add a migration.

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

comment on function private.plant_tree(uuid) is
'Makes a tree of the messages of a conversation of release 0.1.0, in which only replies had a parent, and fills in what its row tells of them. Does nothing to one that is a tree.';

grant execute on function private.plant_tree(uuid) to authenticated, service_role;
