-- A user's threads. Owners create, read, rename and delete their own; the rest of the row is the database's.
create table public.conversations (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  title text check (char_length(title) between 1 and 200),
  model text check (char_length(model) between 1 and 100),
  position bigint generated always as identity unique,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- target of composite foreign keys: a child row cannot name another owner than its conversation's
  unique (id, user_id)
);

comment on table public.conversations is
'A user''s threads. Owners read, create, rename and delete their own.';
comment on column public.conversations.user_id is 'The owner; always the caller for a user''s token.';
comment on column public.conversations.model is 'The model preferred in this conversation, or null for the router''s choice.';
comment on column public.conversations.position is 'Order of creation; lists page by it.';

create index conversations_user_id_position_idx on public.conversations (user_id, position desc);

create trigger conversations_set_updated_at
before update on public.conversations
for each row execute function private.set_updated_at();

alter table public.conversations enable row level security;

create policy "Owners read their conversations" on public.conversations
for select to authenticated using (user_id = (select auth.uid()));

create policy "Users create conversations of their own" on public.conversations
for insert to authenticated with check (user_id = (select auth.uid()));

create policy "Owners rename their conversations" on public.conversations
for update to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));

create policy "Owners delete their conversations" on public.conversations
for delete to authenticated using (user_id = (select auth.uid()));

revoke all on table public.conversations from anon, authenticated, service_role;
revoke all on sequence public.conversations_position_seq from anon, authenticated, service_role;
grant select, delete on table public.conversations to authenticated;
grant insert (id, user_id, title, model) on table public.conversations to authenticated;
grant update (title, model) on table public.conversations to authenticated;
grant select, insert, update, delete on table public.conversations to service_role;
