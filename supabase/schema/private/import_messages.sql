-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.import_messages(
  p_import_id uuid,
  p_conversation jsonb,
  p_messages jsonb,
  p_part text
) returns jsonb
language plpgsql
security definer
set search_path = ''
set enable_seqscan = 'off'
as $$
declare
  v_import private.imports := private.running_import(p_import_id);
  v_source constant text := p_conversation ->> 'id';
  v_fresh boolean := coalesce((p_conversation ->> 'fresh')::boolean, false);
  v_half private.half_imported;
  v_before public.conversations;
  v_id uuid;
  v_head_id uuid;
  v_added integer;
begin
  perform set_config('parley.importing', 'on', true);
  select c.id into v_id from public.conversations as c
  where c.id = private.as_uuid(v_source) and c.user_id = v_import.user_id;
  v_id := coalesce(v_id, private.imported_id(v_import.user_id, 'conversation', v_source));
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
  select * into v_half from private.half_imported as h where h.conversation_id = v_id;
  -- an import is in the middle of it, or was interrupted there, and nobody has shown anything else of it since
  if v_half.conversation_id is not null then
    v_fresh := v_half.head_id is not distinct from v_before.head_id;
  end if;

  -- Messages are looked up by their ids alone, one by one: with the conversation as a condition (`is true` keeps it from
  -- being one of an index), or joined, each part read all parts before it.
  with sent as materialized (
    select
      s.place, s.message,
      coalesce(o.id, private.imported_id(v_import.user_id, 'message', v_source, s.message ->> 'id')) as id,
      coalesce(
        p.id, private.imported_id(v_import.user_id, 'message', v_source, s.message ->> 'parent_id')
      ) as parent_id
    from jsonb_array_elements(p_messages) with ordinality as s (message, place)
    left join lateral (
      select m.id from public.messages as m
      where m.id = private.as_uuid(s.message ->> 'id') and (m.conversation_id = v_id) is true
      offset 0
    ) as o on true
    left join lateral (
      select m.id from public.messages as m
      where m.id = private.as_uuid(s.message ->> 'parent_id') and (m.conversation_id = v_id) is true
      offset 0
    ) as p on true
  ), missing as materialized (
    select s.* from sent as s
    left join lateral (
      select m.id from public.messages as m where m.id = s.id and (m.conversation_id = v_id) is true offset 0
    ) as f on true
    where f.id is null
  )
  -- no usage: what was used was somebody else's call, or nobody's
  insert into public.messages (
    id, conversation_id, user_id, role, content, reasoning, reasoning_ms, status, parent_id, version, provider, model,
    finish_reason, error_code, problem, sources, flagged, feedback, screened, created_at, updated_at
  )
  select
    n.id, v_id, v_import.user_id, n.message ->> 'role', n.message ->> 'content', n.message ->> 'reasoning',
    (n.message ->> 'reasoning_ms')::integer, n.message ->> 'status', n.parent_id,
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

  if not v_fresh then
    -- somebody has chosen what is shown
    v_head_id := case when v_added > 0 then v_before.head_id end;
  elsif p_part = 'last' then
    select m.id into v_head_id from public.messages as m
    where
      m.id = coalesce(
        (
          select o.id from public.messages as o
          where o.id = private.as_uuid(p_conversation ->> 'head_id') and (o.conversation_id = v_id) is true
        ),
        private.imported_id(v_import.user_id, 'message', v_source, p_conversation ->> 'head_id')
      )
      and (m.conversation_id = v_id) is true;
  end if;
  if v_head_id is not null then
    v_head_id := private.leaf(v_head_id);
    update public.conversations as c
    set head_id = v_head_id, preview = private.preview(v_head_id)
    where c.id = v_id and c.head_id is distinct from v_head_id;
  end if;
  if p_part = 'last' then
    delete from private.half_imported as h where h.conversation_id = v_id;
  elsif v_fresh then
    insert into private.half_imported (conversation_id, head_id)
    select c.id, c.head_id from public.conversations as c where c.id = v_id
    on conflict (conversation_id) do update set head_id = excluded.head_id;
  end if;
  update private.imports as i
  set
    added_messages = i.added_messages + v_added, done = i.done + (p_part = 'last')::integer, updated_at = now()
  where i.id = p_import_id;
  return jsonb_build_object('fresh', v_fresh, 'added', v_added);
end;
$$;

comment on function private.import_messages(uuid, jsonb, jsonb, text) is
'See public.import_messages.';

grant execute on function private.import_messages(uuid, jsonb, jsonb, text) to service_role;
