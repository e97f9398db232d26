-- What was said. Users read; only begin_turn (as the owner's call) and the service write.
create table public.messages (
  id uuid primary key default gen_random_uuid(),
  conversation_id uuid not null,
  user_id uuid not null references auth.users (id) on delete cascade,
  role text not null check (role in ('user', 'assistant', 'system')),
  content text not null default '' check (char_length(content) <= 1000000),
  status text not null default 'complete'
  check (status in ('streaming', 'complete', 'stopped', 'failed', 'interrupted', 'filtered')),
  parent_id uuid references public.messages (id) on delete cascade,
  version integer not null default 1 check (version >= 1),
  seq integer not null default 0 check (seq >= 0),
  provider text,
  model text,
  finish_reason text,
  error_code text,
  sources jsonb check (jsonb_typeof(sources) = 'array'),
  prompt_tokens integer check (prompt_tokens >= 0),
  completion_tokens integer check (completion_tokens >= 0),
  cached_tokens integer check (cached_tokens >= 0),
  tokens_used integer generated always as (prompt_tokens + completion_tokens) stored,
  flagged text[],
  screened boolean not null default true,
  position bigint generated always as identity unique,
  parent_position bigint,
  turn bigint generated always as (coalesce(parent_position, position)) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  foreign key (conversation_id, user_id) references public.conversations (id, user_id) on delete cascade,
  unique (parent_id, version),
  check ((role = 'assistant') or (status = 'complete' and parent_id is null))
)
-- a reply grows in place while it streams: room on the page keeps those updates off the indexes
with (fillfactor = 80);

comment on table public.messages is
'Messages of a conversation. Users read their own; replies are written by the service alone.';
comment on column public.messages.status is
'Of a reply: streaming, then one of complete, stopped, failed, interrupted, filtered. Always complete for other roles.';
comment on column public.messages.parent_id is 'The user message that a reply answers.';
comment on column public.messages.version is 'Counts the replies to one user message, from 1; the newest with text is used as history.';
comment on column public.messages.seq is 'Counts the pieces appended to content while the reply streams.';
comment on column public.messages.error_code is 'The problem code of a failed reply.';
comment on column public.messages.sources is 'Passages the reply was given: id, document_id, title, similarity, excerpt.';
comment on column public.messages.tokens_used is 'What the reply took of the token limit; null until it is over.';
comment on column public.messages.flagged is
'The categories for which moderation flagged the message, or what it answers; null where it did not. Never used as history.';
comment on column public.messages.screened is
'False for a user message that moderation has yet to let pass: until then it is no history.';
comment on column public.messages.position is 'Order of creation; history pages by it.';
comment on column public.messages.turn is 'Position of the user message that opened the turn: a message and all replies to it share it.';

create index messages_conversation_id_user_id_turn_idx on public.messages (conversation_id, user_id, turn);
create index messages_user_id_idx on public.messages (user_id);

alter table public.messages enable row level security;

create policy "Owners read their messages" on public.messages
for select to authenticated using (user_id = (select auth.uid()));

create policy "Nobody inserts messages directly" on public.messages
for insert to authenticated with check (false);

create policy "Nobody updates messages directly" on public.messages
for update to authenticated using (false) with check (false);

create policy "Nobody deletes single messages" on public.messages
for delete to authenticated using (false);

revoke all on table public.messages from anon, authenticated, service_role;
revoke all on sequence public.messages_position_seq from anon, authenticated, service_role;
grant select on table public.messages to authenticated;
grant select, insert, update, delete on table public.messages to service_role;
