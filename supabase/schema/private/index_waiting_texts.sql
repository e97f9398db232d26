-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.index_waiting_texts() returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_batch constant integer := 1000;
  -- letters of a message that are searched
  c_searched constant integer := 200000;

  v_left private.texts_to_index;
  v_text record;
  v_any boolean := false;
begin
  -- another replica is at it
  if not pg_try_advisory_xact_lock(hashtext('private.texts_to_index')) then
    return false;
  end if;

  select m.id, m.user_id, m.content, m.created_at into v_text
  from private.long_texts as l
  join public.messages as m on m.id = l.message_id
  limit 1
  -- what is being deleted or written is for another call
  for update of l skip locked
  for key share of m skip locked;
  if found then
    perform private.index_text(
      v_text.user_id, v_text.id, null, left(v_text.content, c_searched), v_text.created_at
    );
    delete from private.long_texts as l where l.message_id = v_text.id;
    return true;
  end if;

  select * into v_left from private.texts_to_index;
  if not found then
    return false;
  end if;

  if v_left.conversations_to > 0 then
    for v_text in
      select c.id, c.user_id, c.title, c.updated_at, c.position
      from public.conversations as c
      where c.position <= v_left.conversations_to
      order by c.position desc
      limit c_batch
    loop
      -- a call has seconds at most
      exit when v_any and clock_timestamp() > statement_timestamp() + interval '1 second';
      v_any := true;
      -- what is being deleted need not be waited for: it is gone the next time, or it has stayed
      perform from public.conversations as o where o.id = v_text.id for key share skip locked;
      if not found then
        v_left.conversations_to := v_text.position;
        exit;
      end if;
      v_left.conversations_to := v_text.position - 1;
      continue when
        v_text.title is null
        or exists (select from private.searched_texts as t where t.conversation_id = v_text.id);
      perform private.index_text(v_text.user_id, null, v_text.id, v_text.title, v_text.updated_at, true);
    end loop;
    if not v_any then
      v_left.conversations_to := 0;
    end if;
  else
    for v_text in
      select m.id, m.user_id, m.content, m.status, m.created_at, m.position
      from public.messages as m
      where m.position <= v_left.messages_to
      order by m.position desc
      limit c_batch
    loop
      -- a call has seconds at most
      exit when v_any and clock_timestamp() > statement_timestamp() + interval '1 second';
      v_any := true;
      -- what is being deleted need not be waited for: it is gone the next time, or it has stayed
      perform from public.messages as o where o.id = v_text.id for key share skip locked;
      if not found then
        v_left.messages_to := v_text.position;
        exit;
      end if;
      v_left.messages_to := v_text.position - 1;
      -- one that streams is indexed when it ends
      continue when
        v_text.status = 'streaming' or v_text.content = ''
        or exists (select from private.searched_texts as t where t.message_id = v_text.id);
      perform private.index_text(
        v_text.user_id, v_text.id, null, left(v_text.content, c_searched), v_text.created_at, true
      );
    end loop;
    if not v_any then
      delete from private.texts_to_index;
      return false;
    end if;
  end if;
  update private.texts_to_index
  set conversations_to = v_left.conversations_to, messages_to = v_left.messages_to;
  return true;
end;
$$;

comment on function private.index_waiting_texts() is
'Indexes a message that was too long to be indexed while it was written, of which the first 200,000 letters are searched, or up to 1,000 titles or messages from before the index, the newest first. Returns whether there may be more to do.';

grant execute on function private.index_waiting_texts() to service_role;
