-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.most_of(
  p_user_id uuid,
  p_kind text
) returns bigint
language sql
stable
security invoker
set search_path = ''
as $$
  select case p_kind
    when 'conversations' then coalesce(p.max_conversations, s.max_conversations)
    when 'messages' then coalesce(p.max_messages, s.max_messages)
    when 'documents' then coalesce(p.max_documents, s.max_documents)
    when 'passages' then coalesce(p.max_passages, s.max_passages)
    when 'document_bytes' then coalesce(p.max_document_bytes, s.max_document_bytes)
  end
  from private.settings as s
  left join public.entitlements as e
    on e.user_id = p_user_id and (e.valid_until is null or e.valid_until > clock_timestamp())
  left join private.plans as p on p.plan = coalesce(e.plan, 'free')
$$;

comment on function private.most_of(uuid, text) is
'How much of a kind (conversations, messages, documents, passages, document_bytes) a user may have at a time.';
