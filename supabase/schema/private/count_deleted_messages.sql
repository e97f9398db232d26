-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER messages_count_deleted AFTER DELETE ON public.messages REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION private.count_deleted_messages()
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

comment on function private.count_deleted_messages() is
'Trigger: deleted messages are counted no more. Where the head is one of them, the branch through the sibling before the first of them is shown, else through the one after it, else the message that it followed.';
