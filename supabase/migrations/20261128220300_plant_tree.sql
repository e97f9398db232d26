-- Before the code: conversations of release 0.1.0 become trees one by one, at their next use or by recover_replies.
create function private.preview(p_message_id uuid) returns text
language sql
stable
set search_path = ''
as $$
  select left(coalesce(nullif(m.content, ''), p.content), 200)
  from public.messages as m
  left join public.messages as p on p.id = m.parent_id
  where m.id = p_message_id
$$;

comment on function private.preview(uuid) is
'The first 200 characters of a message''s text, or of the one before it while it has none.';

create function private.plant_tree(p_conversation_id uuid) returns void
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

  update public.conversations as c
  set
    head_id = v_head_id,
    preview = private.preview(v_head_id),
    message_count = m.messages,
    last_message_at = coalesce(m.newest, c.created_at)
  from (
    select count(*)::integer as messages, max(o.created_at) as newest
    from public.messages as o
    where o.conversation_id = p_conversation_id
  ) as m
  where c.id = p_conversation_id;
end;
$$;

comment on function private.plant_tree(uuid) is
'Makes a tree of the messages of a conversation of release 0.1.0, in which only replies had a parent, and fills in what its row tells of them. Does nothing to one that is a tree.';

create function private.plant_trees() returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_id uuid;
begin
  for v_id in
    select c.id from public.conversations as c
    where
      c.message_count is null
      -- the locks on its messages would keep the reply's writer from them
      and not exists (
        select from public.messages as m
        join private.live_replies as l on l.message_id = m.id
        where m.conversation_id = c.id
      )
    order by c.position desc
    limit 100
    for no key update skip locked
  loop
    perform private.plant_tree(v_id);
  end loop;
end;
$$;

comment on function private.plant_trees() is
'private.plant_tree for up to 100 conversations, the newest first. Called again and again by recover_replies.';

revoke all on function private.preview(uuid) from public, anon, authenticated, service_role;
revoke all on function private.plant_tree(uuid) from public, anon, service_role;
revoke all on function private.plant_trees() from public, anon, authenticated;
grant execute on function private.plant_tree(uuid) to authenticated, service_role;
grant execute on function private.plant_trees() to service_role;
