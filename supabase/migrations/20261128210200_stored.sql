-- Before the code: whoever has as much as their plan allows is refused with limit_reached. The release before passes that
-- on as a database that is unavailable, with the same effect.
set local lock_timeout = '2s';

-- One row a user and kind, so that no check counts rows.
create table private.stored (
  user_id uuid not null references auth.users (id) on delete cascade,
  kind text not null check (kind in ('conversations', 'messages', 'documents', 'passages', 'document_bytes')),
  amount bigint not null,
  primary key (user_id, kind)
)
-- updated with every turn: room on the page keeps the updates in place
with (fillfactor = 50);

comment on table private.stored is
'How much of each kind a user has, kept by triggers, and held against private.most_of by private.require_room.';
comment on column private.stored.kind is
'passages and document_bytes (text and metadata of the passages) are those of the documents'' newest content.';

alter table private.stored enable row level security;
alter table private.stored force row level security;

create policy "Owners read their amounts" on private.stored
for select to authenticated using (user_id = (select auth.uid()));

revoke all on table private.stored from public, anon, authenticated, service_role;

alter table public.documents add column bytes bigint not null default 0 check (bytes >= 0);

comment on column public.documents.bytes is 'Of the text and the metadata of its passages.';

create function private.require_room(p_kind text) returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_user_id constant uuid := auth.uid();
  v_most bigint;
begin
  -- the service and the operator may exceed a user's limit
  if v_user_id is null then
    return;
  end if;
  v_most := private.most_of(v_user_id, p_kind);
  if (select s.amount from private.stored as s where s.user_id = v_user_id and s.kind = p_kind) > v_most then
    raise exception using errcode = 'PT403', message = 'limit_reached', detail = format(
      'This plan holds at most %s %s of a user; delete some, or take another plan.',
      v_most, case p_kind when 'document_bytes' then 'bytes of documents' else p_kind end
    );
  end if;
end;
$$;

comment on function private.require_room(text) is
'Refuses the caller who has more of a kind than they may, with limit_reached. Called after the new amount is counted: its '
'row is locked, so that concurrent calls of one user cannot pass together.';

create function private.count_added_rows() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into private.stored as s (user_id, kind, amount)
  select a.user_id, tg_table_name, count(*)
  from added as a
  group by a.user_id
  -- always in this order, so that two statements never wait for each other in a circle
  order by a.user_id
  on conflict (user_id, kind) do update set amount = s.amount + excluded.amount;
  if found then
    perform private.require_room(tg_table_name);
  end if;
  return null;
end;
$$;

comment on function private.count_added_rows() is
'Trigger: adds new rows to their owners'' amounts; refuses a user who has too many then, however they were inserted.';

create function private.count_removed_rows() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update private.stored as s
  set amount = s.amount - r.amount
  from (select g.user_id, count(*) as amount from removed as g group by g.user_id) as r
  where s.user_id = r.user_id and s.kind = tg_table_name;
  return null;
end;
$$;

comment on function private.count_removed_rows() is 'Trigger: takes deleted rows from their owners'' amounts.';

create function private.count_document_text() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  -- of a new document there is no old row: null
  insert into private.stored as s (user_id, kind, amount)
  values
    (new.user_id, 'document_bytes', new.bytes - coalesce(old.bytes, 0)),
    (new.user_id, 'passages', new.passages - coalesce(old.passages, 0))
  on conflict (user_id, kind) do update set amount = s.amount + excluded.amount;
  if new.bytes > coalesce(old.bytes, 0) then
    perform private.require_room('document_bytes');
  end if;
  if new.passages > coalesce(old.passages, 0) then
    perform private.require_room('passages');
  end if;
  return null;
end;
$$;

comment on function private.count_document_text() is
'Trigger: counts the passages and bytes of a document''s new content in place of the old; refuses what is too much.';

create function private.count_removed_text() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update private.stored as s
  set amount = s.amount - case s.kind when 'passages' then r.passages else r.bytes end
  from (
    select g.user_id, sum(g.passages) as passages, sum(g.bytes) as bytes from removed as g group by g.user_id
  ) as r
  where s.user_id = r.user_id and s.kind in ('passages', 'document_bytes');
  return null;
end;
$$;

comment on function private.count_removed_text() is
'Trigger: takes the passages and bytes of deleted documents from their owners'' amounts.';

revoke all on function private.require_room(text) from public, anon, authenticated, service_role;
revoke all on function private.count_added_rows() from public, anon, authenticated, service_role;
revoke all on function private.count_removed_rows() from public, anon, authenticated, service_role;
revoke all on function private.count_document_text() from public, anon, authenticated, service_role;
revoke all on function private.count_removed_text() from public, anon, authenticated, service_role;

create trigger conversations_count_added
after insert on public.conversations
referencing new table as added
for each statement execute function private.count_added_rows();

create trigger conversations_count_removed
after delete on public.conversations
referencing old table as removed
for each statement execute function private.count_removed_rows();

create trigger messages_count_added
after insert on public.messages
referencing new table as added
for each statement execute function private.count_added_rows();

create trigger messages_count_removed
after delete on public.messages
referencing old table as removed
for each statement execute function private.count_removed_rows();

create trigger documents_count_added
after insert on public.documents
referencing new table as added
for each statement execute function private.count_added_rows();

create trigger documents_count_removed
after delete on public.documents
referencing old table as removed
for each statement execute function private.count_removed_rows();

create trigger documents_count_new_text
after insert on public.documents
for each row
when (new.passages > 0 or new.bytes > 0)
execute function private.count_document_text();

create trigger documents_count_text
after update on public.documents
for each row
when (new.passages <> old.passages or new.bytes <> old.bytes)
execute function private.count_document_text();

create trigger documents_count_removed_text
after delete on public.documents
referencing old table as removed
for each statement execute function private.count_removed_text();

-- what there is. The locks of the triggers keep writers away until it is counted, and nobody is told of it.
alter table public.documents disable trigger user;

update public.documents as d
set bytes = t.bytes
from (
  select p.document_id, sum(octet_length(p.content) + octet_length(p.metadata::text)) as bytes
  from (
    select e.document_id, e.content, e.metadata
    from public.embeddings as e
    join public.documents as o
      on o.id = e.document_id and o.revision = e.revision and o.embedding_model = e.embedding_model
    where not exists (select from private.document_passages as n where n.document_id = e.document_id)
    union all
    select n.document_id, n.content, n.metadata from private.document_passages as n
  ) as p
  group by p.document_id
) as t
where d.id = t.document_id;

alter table public.documents enable trigger user;

insert into private.stored (user_id, kind, amount)
select c.user_id, 'conversations', count(*) from public.conversations as c group by c.user_id
union all
select m.user_id, 'messages', count(*) from public.messages as m group by m.user_id
union all
select d.user_id, 'documents', count(*) from public.documents as d group by d.user_id
union all
select d.user_id, 'passages', sum(d.passages) from public.documents as d group by d.user_id
union all
select d.user_id, 'document_bytes', sum(d.bytes) from public.documents as d group by d.user_id;
