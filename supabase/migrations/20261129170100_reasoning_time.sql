-- Before the code: a reply has the time that its model has thought. The release before neither says nor reads it.
set local lock_timeout = '2s';

alter table public.messages add column reasoning_ms integer;

comment on column public.messages.reasoning_ms is
'How long a reply has thought, in milliseconds: from the first of its reasoning to the first of its text, or to its end. Null without reasoning, and where the writer was lost.';

create or replace function public.finish_replies(
  p_replies jsonb,
  p_costs boolean default false
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_kept uuid[];
begin
  -- as in journal_write: what is being deleted counts as deleted
  select coalesce(array_agg(k.id), '{}') into v_kept
  from (
    select m.id from public.messages as m
    where m.id in (select r.id from jsonb_to_recordset(p_replies) as r (id uuid))
    for key share skip locked
  ) as k;

  perform from public.messages as m where m.id = any(v_kept) order by m.id for no key update;
  perform from private.live_replies as l where l.message_id = any(v_kept) order by l.message_id for update;

  -- those that were deleted too: their owners pay for them all the same. Before the replies end, which tells their cost.
  perform private.settle(p_replies);

  -- an interrupted reply may still be finished: its writer was only cut off from the database for a while
  with final as (
    select * from jsonb_to_recordset(p_replies) as r (
      id uuid, content text, reasoning text, status text, finish_reason text, error_code text, problem jsonb,
      provider text, model text, sources jsonb,
      prompt_tokens integer, completion_tokens integer, cached_tokens integer, reasoning_tokens integer,
      reasoning_ms integer,
      flagged text[], flagged_part text, screened boolean
    )
  ), finished as (
    update public.messages as m
    set
      content = r.content,
      -- the release before does not say what was thought, and stores none
      reasoning = coalesce(r.reasoning, m.reasoning),
      -- a text that is taken back is a piece, too: devices must hear that theirs is void
      seq = m.seq + (r.content <> m.content or coalesce(r.reasoning, m.reasoning) <> m.reasoning)::integer,
      status = r.status,
      finish_reason = r.finish_reason,
      error_code = r.error_code,
      problem = r.problem,
      provider = r.provider,
      model = r.model,
      sources = r.sources,
      prompt_tokens = r.prompt_tokens,
      completion_tokens = r.completion_tokens,
      cached_tokens = r.cached_tokens,
      reasoning_tokens = r.reasoning_tokens,
      reasoning_ms = r.reasoning_ms,
      cost_micro_usd = private.reply_cost(m.id),
      flagged = r.flagged,
      updated_at = now()
    from final as r
    where m.id = r.id and m.id = any(v_kept) and m.role = 'assistant' and m.status in ('streaming', 'interrupted')
    returning m.id, m.user_id, m.parent_id, r.flagged, r.flagged_part, r.screened
  ), judged as (
    -- what is being deleted is skipped here too
    select p.id, f.screened, case f.flagged_part when 'input' then f.flagged end as flagged
    from finished as f
    join public.messages as p on p.id = f.parent_id
    where f.flagged_part = 'input' or (f.screened and not p.screened)
    for no key update of p skip locked
  ), marked as (
    update public.messages as m
    set flagged = j.flagged, screened = coalesce(j.screened, false)
    from judged as j
    where m.id = j.id
  ), audited as (
    insert into private.moderation_audit (message_id, user_id, part, categories)
    select case f.flagged_part when 'input' then f.parent_id else f.id end, f.user_id, f.flagged_part, f.flagged
    from finished as f
    where f.flagged is not null
  )
  delete from private.live_replies as l using finished as f where l.message_id = f.id;

  -- a repeated call finds its replies finished already and answers the same
  if p_costs then
    return coalesce(
      (
        select jsonb_agg(jsonb_build_object('id', m.id, 'cost_micro_usd', m.cost_micro_usd))
        from public.messages as m
        where m.id = any(v_kept)
      ),
      '[]'
    );
  end if;
  return to_jsonb(v_kept);
end;
$$;

create or replace function private.announce_reply() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_topic text := 'conversation:' || new.conversation_id;
  v_event text := case
    when new.status = old.status then null
    when new.status in ('complete', 'filtered') then 'message.completed'
    when new.status in ('stopped', 'failed', 'interrupted') then 'message.' || new.status
  end;
  -- a text that does not go on from the one before has to be read anew, like one that is too long
  v_text text := case
    when starts_with(new.content, old.content)
      then private.pushable(right(new.content, char_length(new.content) - char_length(old.content)))
  end;
  v_reasoning text := case
    when starts_with(new.reasoning, old.reasoning)
      then private.pushable(right(new.reasoning, char_length(new.reasoning) - char_length(old.reasoning)))
  end;
begin
  if new.seq > old.seq then
    -- what was thought goes in the same message as the text, within the same budget of messages and bytes
    perform realtime.send(
      jsonb_build_object('message_id', new.id, 'seq', new.seq, 'text', v_text)
      || case
        when new.reasoning = old.reasoning then '{}'
        when private.pushable(coalesce(v_text, '') || v_reasoning) is null then '{"reasoning": null}'
        else jsonb_build_object('reasoning', v_reasoning)
      end,
      'message.delta', v_topic, true
    );
  end if;
  if v_event is not null then
    perform realtime.send(
      jsonb_build_object(
        'message_id', new.id, 'status', new.status, 'seq', new.seq, 'length', char_length(new.content),
        'finish_reason', new.finish_reason, 'error_code', new.error_code, 'provider', new.provider, 'model', new.model,
        'prompt_tokens', new.prompt_tokens, 'completion_tokens', new.completion_tokens,
        'cached_tokens', new.cached_tokens, 'reasoning_tokens', new.reasoning_tokens,
        'reasoning_ms', new.reasoning_ms, 'cost_micro_usd', new.cost_micro_usd
      ),
      v_event, v_topic, true
    );
  end if;
  return null;
end;
$$;

create or replace function private.import_messages(
  p_import_id uuid,
  p_conversation jsonb,
  p_messages jsonb,
  p_part text
) returns jsonb
language plpgsql
security definer
set search_path = ''
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
  select * into v_half from private.half_imported as h where h.conversation_id = v_id;
  -- an import was interrupted in the middle of it, and nobody has shown anything else of it since
  v_fresh := v_fresh or (v_half.conversation_id is not null and v_half.head_id is not distinct from v_before.head_id);

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
