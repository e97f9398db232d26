-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER conversations_announce_created AFTER INSERT ON public.conversations REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION private.announce_conversations()
-- CREATE TRIGGER conversations_announce_deleted AFTER DELETE ON public.conversations REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION private.announce_conversations()
-- CREATE TRIGGER conversations_announce_updated AFTER UPDATE ON public.conversations REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION private.announce_conversations()
create or replace function private.announce_conversations() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  -- of a statement that changes more, the rest is for the next reader of the table
  c_most constant integer := 1000;
begin
  if tg_op = 'DELETE' then
    perform realtime.send(
      jsonb_build_object('conversation_id', c.id), 'conversation.deleted', 'user:' || c.user_id, true
    )
    from (
      -- when a user is deleted there is nobody to tell
      select b.id, b.user_id from before as b
      join auth.users as u on u.id = b.user_id
      order by b.position
      limit c_most
    ) as c;
  elsif tg_op = 'INSERT' then
    perform realtime.send(
      jsonb_build_object(
        'conversation_id', c.id, 'title', c.title, 'model', c.model, 'head_id', c.head_id,
        'last_message_at', c.last_message_at, 'preview', c.preview, 'message_count', c.message_count,
        'cost_micro_usd', c.cost_micro_usd, 'tokens', c.tokens,
        'created_at', c.created_at, 'updated_at', c.updated_at
      ),
      'conversation.created', 'user:' || c.user_id, true
    )
    from (select a.* from after as a order by a.position limit c_most) as c;
  else
    perform realtime.send(
      jsonb_build_object(
        'conversation_id', c.id, 'title', c.title, 'model', c.model, 'head_id', c.head_id,
        'last_message_at', c.last_message_at, 'preview', c.preview, 'message_count', c.message_count,
        'cost_micro_usd', c.cost_micro_usd, 'tokens', c.tokens,
        'created_at', c.created_at, 'updated_at', c.updated_at
      ),
      'conversation.updated', 'user:' || c.user_id, true
    )
    from (
      select a.* from after as a
      join before as b on b.id = a.id
      where
        (a.title, a.model, a.instructions) is distinct from (b.title, b.model, b.instructions)
        or (
          (a.head_id, a.last_message_at, a.preview, a.message_count, a.cost_micro_usd, a.tokens)
          is distinct from
          (b.head_id, b.last_message_at, b.preview, b.message_count, b.cost_micro_usd, b.tokens)
          -- that the release before left no tree is no news
          and b.message_count is not null
        )
      order by a.position
      limit c_most
    ) as c;
  end if;
  return null;
end;
$$;

comment on function private.announce_conversations() is
'Trigger: conversation.created, conversation.updated when what the list shows or its instructions are others, conversation.deleted.';
