-- Before the code: other devices hear that instructions are others, so that they read them again. The events do not have them,
-- which may be 8,000 characters. Nothing else changes.
--
-- The lock of the new trigger waits for the statements that write settings and holds up the next ones.
set local lock_timeout = '2s';

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
'Trigger: conversation.created, conversation.updated when what the list shows or its instructions are others, '
'conversation.deleted.';

create function private.announce_settings() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if old.instructions is distinct from new.instructions then
    perform realtime.send(
      jsonb_build_object('updated_at', now()), 'settings.updated', 'user:' || coalesce(new.user_id, old.user_id), true
    )
    -- when a user is deleted there is nobody to tell
    from auth.users as u where u.id = coalesce(new.user_id, old.user_id);
  end if;
  return null;
end;
$$;

comment on function private.announce_settings() is 'Trigger: settings.updated, when a user''s default instructions are others.';

revoke all on function private.announce_settings() from public, anon, authenticated, service_role;

create trigger user_settings_announce
after insert or update or delete on public.user_settings
for each row
execute function private.announce_settings();
