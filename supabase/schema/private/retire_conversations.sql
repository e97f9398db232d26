-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.retire_conversations(
  p_before timestamp with time zone,
  p_after bigint,
  p_texts boolean,
  p_dry_run boolean
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_conversations constant integer := 1000;
  -- of a step; a conversation of more is a step of its own
  c_messages constant integer := 2000;
  v_last bigint;
  v_taken bigint;
  v_ids uuid[];
  v_more bigint;
  v_messages bigint;
begin
  -- a message, a title or a switch of branches is an activity, and so is an import of what is older
  with looked as (
    select c.* from public.conversations as c
    where c.position > p_after
    order by c.position
    limit c_conversations
  ), idle as (
    select
      l.id, l.position, coalesce(l.message_count, 1000) as messages,
      sum(coalesce(l.message_count, 1000)) over (order by l.position) as up_to
    from looked as l
    where
      greatest(l.last_message_at, l.updated_at) < p_before
      and (not p_texts or l.title is not null or l.preview is not null or l.instructions is not null)
  )
  select
    (select max(l.position) from looked as l),
    max(i.position) filter (where i.up_to - i.messages < c_messages),
    array_agg(i.id) filter (where i.up_to - i.messages < c_messages),
    count(*) filter (where i.up_to - i.messages >= c_messages)
  into v_last, v_taken, v_ids, v_more
  from idle as i;
  if v_more > 0 then
    v_last := v_taken;
  end if;

  if not p_dry_run then
    -- one that is in use is left for another run, and judged again: a turn may just have begun
    select array_agg(k.id) into v_ids
    from (
      select c.id from public.conversations as c
      where c.id = any(v_ids) and greatest(c.last_message_at, c.updated_at) < p_before
      for update skip locked
    ) as k;
  end if;
  select count(*) into v_messages from public.messages as m where m.conversation_id = any(v_ids);
  if not p_dry_run and p_texts then
    -- what remains says when, how much and by which model, but not what
    update public.messages as m
    set content = '', reasoning = '', sources = null, feedback = m.feedback || '{"comment": null}'
    where m.conversation_id = any(v_ids);
    update public.conversations as c
    set title = null, preview = null, instructions = null
    where c.id = any(v_ids);
  elsif not p_dry_run then
    delete from public.conversations as c where c.id = any(v_ids);
  end if;
  return jsonb_build_object(
    'rows', coalesce(cardinality(v_ids), 0), 'messages', v_messages, 'next', v_last::text
  );
end;
$$;

comment on function private.retire_conversations(timestamp with time zone, bigint, boolean, boolean) is
'A step over the conversations after p_after: those without activity since p_before are deleted, or with p_texts emptied: no message, title or instruction of theirs has text then.';

grant execute on function private.retire_conversations(timestamp with time zone, bigint, boolean, boolean) to service_role;
