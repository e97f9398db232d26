-- Before the code: it imports files with these functions. The release before does not call them.

-- The same source of a user is always the same row, so a file that is sent again adds nothing. What is still there under
-- its own id, such as of an export of this account, is that row.
create function private.imported_id(p_user_id uuid, p_source text) returns uuid
language sql
immutable
set search_path = ''
as $$
  select encode(substr(sha256(convert_to(p_user_id::text || ' ' || p_source, 'UTF8')), 1, 16), 'hex')::uuid
$$;

comment on function private.imported_id(uuid, text) is 'The id of what a user imports, by where it comes from.';

create function private.as_uuid(p_text text) returns uuid
language sql
immutable
set search_path = ''
as $$
  select case
    when p_text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then p_text::uuid
  end
$$;

comment on function private.as_uuid(text) is 'The UUID that a text is; null for any other text.';

create function private.running_import(p_import_id uuid) returns private.imports
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_import private.imports;
begin
  select * into v_import from private.imports as i where i.id = p_import_id and i.status = 'running' for update;
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such import is running.';
  end if;
  -- not while a turn begins, a branch is switched or everything is deleted
  perform pg_advisory_xact_lock(hashtextextended(v_import.user_id::text, 0));
  return v_import;
end;
$$;

comment on function private.running_import(uuid) is 'Locks an import that is running, and its user.';

create function private.require_room_of(p_user_id uuid, p_kind text) returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_most constant bigint := private.most_of(p_user_id, p_kind);
begin
  if (select s.amount from private.stored as s where s.user_id = p_user_id and s.kind = p_kind) > v_most then
    raise exception using errcode = 'PT403', message = 'limit_reached', detail = format(
      'This plan holds at most %s %s of a user; delete some, or take another plan.', v_most, p_kind
    );
  end if;
end;
$$;

comment on function private.require_room_of(uuid, text) is 'As private.require_room, for what the service writes for a user.';

create function private.import_messages(p_import_id uuid, p_conversation jsonb, p_messages jsonb, p_part text) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_import private.imports := private.running_import(p_import_id);
  v_source constant text := p_conversation ->> 'id';
  v_fresh boolean := coalesce((p_conversation ->> 'fresh')::boolean, false);
  v_before public.conversations;
  v_id uuid;
  v_head_id uuid;
  v_added integer;
begin
  perform set_config('parley.importing', 'on', true);
  select c.id into v_id from public.conversations as c
  where c.id = private.as_uuid(v_source) and c.user_id = v_import.user_id;
  v_id := coalesce(v_id, private.imported_id(v_import.user_id, 'conversation ' || v_source));
  insert into public.conversations (
    id, user_id, title, model, instructions, created_at, updated_at, last_message_at, message_count
  )
  values (
    v_id, v_import.user_id, p_conversation ->> 'title', p_conversation ->> 'model',
    p_conversation ->> 'instructions',
    (p_conversation ->> 'created_at')::timestamptz, now(), (p_conversation ->> 'created_at')::timestamptz, 0
  )
  on conflict (id) do nothing;
  if found then
    v_fresh := true;
    update private.imports as i set added_conversations = i.added_conversations + 1 where i.id = p_import_id;
  end if;
  perform private.plant_tree(v_id);
  select * into v_before from public.conversations as c
  where c.id = v_id and c.user_id = v_import.user_id
  for no key update;

  with sent as (
    select
      s.place, s.message,
      coalesce(
        (select m.id from public.messages as m where m.id = private.as_uuid(s.message ->> 'id') and m.conversation_id = v_id),
        private.imported_id(v_import.user_id, 'message ' || v_source || ' ' || (s.message ->> 'id'))
      ) as id,
      coalesce(
        (select m.id from public.messages as m where m.id = private.as_uuid(s.message ->> 'parent_id') and m.conversation_id = v_id),
        private.imported_id(v_import.user_id, 'message ' || v_source || ' ' || (s.message ->> 'parent_id'))
      ) as parent_id
    from jsonb_array_elements(p_messages) with ordinality as s (message, place)
  ), missing as (
    select s.* from sent as s
    where not exists (select from public.messages as m where m.id = s.id)
  )
  -- no usage: what was used was somebody else's call, or nobody's
  insert into public.messages (
    id, conversation_id, user_id, role, content, reasoning, status, parent_id, version, provider, model, finish_reason,
    error_code, problem, sources, flagged, feedback, screened, created_at, updated_at
  )
  select
    n.id, v_id, v_import.user_id, n.message ->> 'role', n.message ->> 'content', n.message ->> 'reasoning',
    n.message ->> 'status', n.parent_id,
    coalesce((select max(m.version) from public.messages as m where m.parent_id = n.parent_id), 0)
    + row_number() over (partition by n.parent_id order by n.place),
    n.message ->> 'provider', n.message ->> 'model', n.message ->> 'finish_reason', n.message ->> 'error_code',
    nullif(n.message -> 'problem', 'null'), nullif(n.message -> 'sources', 'null'),
    case when jsonb_typeof(n.message -> 'flagged') = 'array' then
      array(select f.word from jsonb_array_elements_text(n.message -> 'flagged') as f (word))
    end,
    nullif(n.message -> 'feedback', 'null'),
    -- what moderation has not seen is no history where it is on
    n.message ->> 'role' <> 'user' or not (select s.screen_input from private.settings as s),
    (n.message ->> 'created_at')::timestamptz, (n.message ->> 'updated_at')::timestamptz
  from missing as n
  order by n.place;
  get diagnostics v_added = row_count;
  perform private.require_room_of(v_import.user_id, 'conversations');
  perform private.require_room_of(v_import.user_id, 'messages');

  if v_fresh then
    select m.id into v_head_id from public.messages as m
    where m.conversation_id = v_id and m.id = coalesce(
      (select o.id from public.messages as o where o.id = private.as_uuid(p_conversation ->> 'head_id') and o.conversation_id = v_id),
      private.imported_id(v_import.user_id, 'message ' || v_source || ' ' || (p_conversation ->> 'head_id'))
    );
  elsif v_added > 0 then
    -- somebody has chosen what is shown
    v_head_id := v_before.head_id;
  end if;
  if v_head_id is not null then
    v_head_id := private.leaf(v_head_id);
    update public.conversations as c
    set head_id = v_head_id, preview = private.preview(v_head_id)
    where c.id = v_id and c.head_id is distinct from v_head_id;
  end if;
  update private.imports as i
  set
    added_messages = i.added_messages + v_added, done = i.done + (p_part = 'last')::integer, updated_at = now()
  where i.id = p_import_id;
  return jsonb_build_object('fresh', v_fresh, 'added', v_added);
end;
$$;

comment on function private.import_messages(uuid, jsonb, jsonb, text) is 'See public.import_messages.';

create function private.import_documents(p_import_id uuid, p_documents jsonb) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_import private.imports := private.running_import(p_import_id);
  v_added integer;
begin
  insert into public.documents (
    id, user_id, title, metadata, media_type, content_hash, pages, pages_without_text, status, error, created_at
  )
  select
    private.imported_id(v_import.user_id, 'document ' || (s.document ->> 'id')), v_import.user_id,
    s.document ->> 'title', s.document -> 'metadata', s.document ->> 'media_type', s.document ->> 'content_hash',
    (s.document ->> 'pages')::integer, (s.document ->> 'pages_without_text')::integer, 'failed',
    'Imported without its text: send the file again.', (s.document ->> 'created_at')::timestamptz
  from jsonb_array_elements(p_documents) with ordinality as s (document, place)
  where not exists (
    select from public.documents as d where d.id = private.as_uuid(s.document ->> 'id') and d.user_id = v_import.user_id
  )
  order by s.place
  on conflict do nothing;
  get diagnostics v_added = row_count;
  perform private.require_room_of(v_import.user_id, 'documents');
  update private.imports as i
  set added_documents = i.added_documents + v_added, updated_at = now()
  where i.id = p_import_id;
  return to_jsonb(v_added);
end;
$$;

comment on function private.import_documents(uuid, jsonb) is 'See public.import_documents.';

create function private.end_import(p_import_id uuid, p_error text) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
  update private.imports as i
  set status = case when p_error is null then 'complete' else 'failed' end, error = p_error, updated_at = now()
  where i.id = p_import_id and i.status = 'running';
  return found;
end;
$$;

comment on function private.end_import(uuid, text) is 'See public.end_import.';

create function public.import_messages(p_import_id uuid, p_conversation jsonb, p_messages jsonb, p_part text)
returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.import_messages(p_import_id, p_conversation, p_messages, p_part) $$;

create function public.import_documents(p_import_id uuid, p_documents jsonb) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.import_documents(p_import_id, p_documents) $$;

create function public.end_import(p_import_id uuid, p_error text default null) returns boolean
language sql
security invoker
set search_path = ''
as $$ select private.end_import(p_import_id, p_error) $$;

comment on function public.import_messages(uuid, jsonb, jsonb, text) is
'Adds a part of a conversation {id, title, model, head_id, created_at, fresh} with messages, each after the one that it '
'follows, to the user who began the import. What is there is not added again. p_part is last for the last one. Returns '
'{fresh: whether this import made the conversation, which the next part says again, added}. Errors: PT403 limit_reached, '
'PT404 not_found. For the service.';
comment on function public.import_documents(uuid, jsonb) is
'Adds what is known of documents, without their text, to the user who began the import. Returns how many are new. For the '
'service.';
comment on function public.end_import(uuid, text) is 'Ends an import, as failed where p_error says why. For the service.';

revoke all on function private.imported_id(uuid, text) from public, anon, authenticated, service_role;
revoke all on function private.as_uuid(text) from public, anon, authenticated, service_role;
revoke all on function private.running_import(uuid) from public, anon, authenticated, service_role;
revoke all on function private.require_room_of(uuid, text) from public, anon, authenticated, service_role;
revoke all on function private.import_messages(uuid, jsonb, jsonb, text) from public, anon, authenticated, service_role;
revoke all on function private.import_documents(uuid, jsonb) from public, anon, authenticated, service_role;
revoke all on function private.end_import(uuid, text) from public, anon, authenticated, service_role;
revoke all on function public.import_messages(uuid, jsonb, jsonb, text) from public, anon, authenticated, service_role;
revoke all on function public.import_documents(uuid, jsonb) from public, anon, authenticated, service_role;
revoke all on function public.end_import(uuid, text) from public, anon, authenticated, service_role;
grant execute on function private.import_messages(uuid, jsonb, jsonb, text) to service_role;
grant execute on function private.import_documents(uuid, jsonb) to service_role;
grant execute on function private.end_import(uuid, text) to service_role;
grant execute on function public.import_messages(uuid, jsonb, jsonb, text) to service_role;
grant execute on function public.import_documents(uuid, jsonb) to service_role;
grant execute on function public.end_import(uuid, text) to service_role;
