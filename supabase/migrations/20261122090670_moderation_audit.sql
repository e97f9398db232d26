-- What moderation flagged: who, when and for what, never the text.
create table private.moderation_audit (
  id bigint generated always as identity primary key,
  message_id uuid not null,
  user_id uuid not null,
  part text not null check (part in ('input', 'output')),
  categories text[] not null,
  created_at timestamptz not null default now()
);

comment on table private.moderation_audit is
'One row for each flagged message or reply. Kept when the message is deleted; read it in SQL, by the operator alone.';
comment on column private.moderation_audit.message_id is 'The user message (input) or the reply (output) that was flagged.';

revoke all on table private.moderation_audit from public, anon, authenticated, service_role;
grant insert on table private.moderation_audit to service_role;
