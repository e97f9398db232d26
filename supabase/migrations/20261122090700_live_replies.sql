-- Replies being written, and the keys under which turns were begun. Both are the database's own: no user reads them.
create table private.live_replies (
  message_id uuid primary key references public.messages (id) on delete cascade,
  user_id uuid not null,
  writer uuid not null,
  lease_expires_at timestamptz not null,
  stop_requested boolean not null default false
)
-- renewed twice a second: room on the page keeps the updates in place
with (fillfactor = 50);

comment on table private.live_replies is
'One row for each streaming reply. A row whose lease has run out has lost its writer; recover_replies ends that reply.';
comment on column private.live_replies.writer is 'The process that writes the reply.';
comment on column private.live_replies.stop_requested is 'Set by stop_reply on any replica; the writer reads it with its next journal write.';

create index live_replies_user_id_idx on private.live_replies (user_id);

create table private.idempotency_keys (
  user_id uuid not null,
  key text not null check (char_length(key) between 1 and 255),
  request_hash text not null check (char_length(request_hash) <= 128),
  message_id uuid not null references public.messages (id) on delete cascade deferrable initially deferred,
  created_at timestamptz not null default now(),
  primary key (user_id, key)
);

comment on table private.idempotency_keys is
'The reply that each Idempotency-Key of a user began. Kept for 24 hours; recover_replies deletes older ones.';
comment on column private.idempotency_keys.request_hash is 'Of the request that claimed the key: another request under it is refused.';

create index idempotency_keys_message_id_idx on private.idempotency_keys (message_id);
create index idempotency_keys_created_at_idx on private.idempotency_keys (created_at);

revoke all on table private.live_replies, private.idempotency_keys from public, anon, authenticated, service_role;
grant select, insert, update, delete on table private.live_replies, private.idempotency_keys to service_role;

create function private.lease() returns interval
language sql
immutable
set search_path = ''
as $$ select interval '15 seconds' $$;

comment on function private.lease() is
'How long a reply may go without a journal write before it counts as interrupted. Writers renew twice a second.';

revoke all on function private.lease() from public, anon, authenticated;
grant execute on function private.lease() to service_role;
