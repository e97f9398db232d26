-- Before the code: what is written is indexed with it: a message when it is sent, a reply when it ends, a title when it is set.
--
-- The locks of new triggers wait for the statements that write messages and hold up the next ones.
set local lock_timeout = '2s';

create table private.long_texts (
  message_id uuid primary key references public.messages (id) on delete cascade
);

comment on table private.long_texts is 'Messages that are too long to be indexed while they are written: index_waiting_texts does it.';

alter table private.long_texts enable row level security;
alter table private.long_texts force row level security;
create policy "Nobody reads or writes directly" on private.long_texts
to authenticated using (false) with check (false);
revoke all on table private.long_texts from public, anon, authenticated, service_role;

create function private.index_message() returns trigger
language plpgsql
-- definer: whoever writes a message has no business in the index
security definer
set search_path = ''
as $$
declare
  -- letters; a text of more would hold up the others that are written with it
  c_at_once constant integer := 20000;
begin
  if char_length(new.content) > c_at_once then
    insert into private.long_texts (message_id) values (new.id) on conflict do nothing;
    return null;
  end if;
  perform private.index_text(new.user_id, new.id, null, new.content, new.created_at);
  return null;
end;
$$;

comment on function private.index_message() is 'Trigger: indexes the message; a long one is left to index_waiting_texts.';

create function private.index_title() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.index_text(new.user_id, null, new.id, coalesce(new.title, ''), now());
  return null;
end;
$$;

comment on function private.index_title() is 'Trigger: indexes the title of the conversation.';

revoke all on function private.index_message() from public, anon, authenticated, service_role;
revoke all on function private.index_title() from public, anon, authenticated, service_role;

create trigger messages_index_new
after insert on public.messages
for each row when (new.status <> 'streaming' and new.content <> '')
execute function private.index_message();

-- row by row, since a condition then spares the pieces of the journal
create trigger messages_index_ended
after update of content, status on public.messages
for each row when (
  new.status <> 'streaming' and (old.status = 'streaming' or old.content is distinct from new.content)
)
execute function private.index_message();

create trigger conversations_index_new
after insert on public.conversations
for each row when (new.title is not null)
execute function private.index_title();

create trigger conversations_index_renamed
after update of title on public.conversations
for each row when (old.title is distinct from new.title)
execute function private.index_title();

create table private.texts_to_index (
  only_row boolean primary key default true check (only_row),
  -- what stands at these positions and before them has not been indexed yet
  conversations_to bigint not null,
  messages_to bigint not null
);

comment on table private.texts_to_index is 'How far the texts that were there before the index have been indexed. No row: all.';

alter table private.texts_to_index enable row level security;
alter table private.texts_to_index force row level security;
create policy "Nobody reads or writes directly" on private.texts_to_index
to authenticated using (false) with check (false);
revoke all on table private.texts_to_index from public, anon, authenticated, service_role;

-- the triggers' locks keep everybody from writing until this is committed
insert into private.texts_to_index (conversations_to, messages_to)
select c.newest, m.newest
from (select coalesce(max(o.position), 0) as newest from public.conversations as o) as c
cross join (select coalesce(max(o.position), 0) as newest from public.messages as o) as m
where c.newest > 0 or m.newest > 0;
