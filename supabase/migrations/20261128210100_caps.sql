-- Before the code: it writes the limits of a document, and the operator those of plans. The release before does neither.
set local lock_timeout = '2s';

alter table private.settings
add column max_conversations bigint not null default 10000 check (max_conversations >= 0),
add column max_messages bigint not null default 200000 check (max_messages >= 0),
add column max_documents bigint not null default 2000 check (max_documents >= 0),
add column max_passages bigint not null default 50000 check (max_passages >= 0),
add column max_document_bytes bigint not null default 100000000 check (max_document_bytes >= 0),
add column document_max_bytes integer not null default 10485760 check (document_max_bytes > 0),
add column document_max_passages integer not null default 2000 check (document_max_passages > 0);

comment on column private.settings.max_conversations is
'This and the other columns with max_: how much a user may have at a time, where their plan does not say.';
comment on column private.settings.max_document_bytes is 'The text of all of a user''s documents together.';
comment on column private.settings.document_max_bytes is 'The text of one document: DOCUMENT_MAX_BYTES of the API.';
comment on column private.settings.document_max_passages is 'DOCUMENT_MAX_PASSAGES of the API.';

alter table private.plans
add column max_conversations bigint check (max_conversations >= 0),
add column max_messages bigint check (max_messages >= 0),
add column max_documents bigint check (max_documents >= 0),
add column max_passages bigint check (max_passages >= 0),
add column max_document_bytes bigint check (max_document_bytes >= 0);

create function private.most_of(p_user_id uuid, p_kind text) returns bigint
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

revoke all on function private.most_of(uuid, text) from public, anon, authenticated, service_role;

create function public.configure_documents(p_max_bytes integer, p_max_passages integer) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  update private.settings as s
  set document_max_bytes = p_max_bytes, document_max_passages = p_max_passages
  where s.singleton
  returning jsonb_build_object(
    'document_max_bytes', s.document_max_bytes, 'document_max_passages', s.document_max_passages
  )
$$;

comment on function public.configure_documents(integer, integer) is
'Sets how large one document may be. Called by the API at its start with its environment; the last one to start is '
'obeyed. For the service.';

revoke all on function public.configure_documents(integer, integer) from public, anon, authenticated, service_role;
grant execute on function public.configure_documents(integer, integer) to service_role;
