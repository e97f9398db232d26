-- Before the code: it reads and writes the new column. The release before leaves it empty.
-- What a model shows of its thinking is stored beside the text, grows with it, and is no part of it.
set local lock_timeout = '2s';

alter table public.messages add column reasoning text not null default '';
alter table public.messages
add constraint messages_reasoning_check check (char_length(reasoning) <= 1000000) not valid;

comment on column public.messages.reasoning is
'What the model showed of its thinking before or between its text. Never part of content, of the history or of a search.';

create or replace function public.journal_write(
  p_pieces jsonb,
  p_alive uuid[]
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_kept uuid[];
  v_stop jsonb;
  v_gone jsonb;
begin
  -- one user's slow deletion must not hold up everyone's text: what is being deleted counts as deleted
  -- (a key share lock waits for deletions, not for updates)
  select coalesce(array_agg(k.id), '{}') into v_kept
  from (select m.id from public.messages as m where m.id = any(p_alive) for key share skip locked) as k;

  -- both tables in one order, here and in finish_replies: calls that come to wait for each other's rows lose a second
  perform from public.messages as m
  where m.id in (select p.id from jsonb_to_recordset(p_pieces) as p (id uuid)) and m.id = any(v_kept)
  order by m.id
  for no key update;
  perform from private.live_replies as l where l.message_id = any(v_kept) order by l.message_id for update;

  -- seq makes a repeated call harmless: a piece that has been appended is not appended again
  update public.messages as m
  set
    content = m.content || p.text,
    reasoning = m.reasoning || coalesce(p.reasoning, ''),
    seq = p.seq,
    provider = p.provider,
    model = p.model,
    sources = coalesce(p.sources, m.sources),
    updated_at = now()
  from jsonb_to_recordset(p_pieces) as p (
    id uuid, seq integer, text text, reasoning text, provider text, model text, sources jsonb
  )
  where m.id = p.id and m.id = any(v_kept) and m.status = 'streaming' and m.seq = p.seq - 1;

  with renewed as (
    update private.live_replies as l
    set lease_expires_at = now() + private.lease()
    where l.message_id = any(v_kept)
    returning l.message_id, l.stop_requested
  )
  select
    coalesce(jsonb_agg(a.id) filter (where r.stop_requested), '[]'),
    coalesce(jsonb_agg(a.id) filter (where a.id <> all(v_kept)), '[]')
  into v_stop, v_gone
  from unnest(p_alive) as a (id)
  left join renewed as r on r.message_id = a.id;

  return jsonb_build_object('stop', v_stop, 'gone', v_gone);
end;
$$;

comment on function public.journal_write(jsonb, uuid[]) is
'Appends pieces [{id, seq, text, reasoning, provider, model, sources}], at most one a reply, to those replies of p_alive '
'that are streaming, renews the leases of p_alive, and returns {stop, gone}: the replies a user asked to stop, and those '
'that were deleted. For the service.';

create or replace function public.finish_replies(
  p_replies jsonb
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

  -- an interrupted reply may still be finished: its writer was only cut off from the database for a while
  with final as (
    select * from jsonb_to_recordset(p_replies) as r (
      id uuid, content text, reasoning text, status text, finish_reason text, error_code text, problem jsonb,
      provider text, model text, sources jsonb,
      prompt_tokens integer, completion_tokens integer, cached_tokens integer, reasoning_tokens integer,
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

  -- those that were deleted too: their owners pay for them all the same
  perform private.settle(p_replies);

  -- a repeated call finds its replies finished already and answers the same
  return to_jsonb(v_kept);
end;
$$;

comment on function public.finish_replies(jsonb) is
'Writes the final text, reasoning, status, problem and usage of replies, settles what they used (user_id, cost_micro_usd; '
'see private.settle) and releases their leases. flagged: the categories for which moderation refused the reply, or with '
'flagged_part input the message it answers; screened: moderation let that message pass. Returns the ids that exist: one '
'that is missing was deleted. A repeated call changes nothing. For the service.';

drop function public.read_reply(uuid, integer);

create function public.read_reply(p_message_id uuid, p_after integer, p_reasoned integer default 0) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'text', substr(m.content, p_after + 1),
    'reasoning', substr(m.reasoning, p_reasoned + 1),
    'message', to_jsonb(m) - 'content' - 'reasoning',
    'length', case when m.status <> 'streaming' then char_length(m.content) end,
    'reasoned', case when m.status <> 'streaming' then char_length(m.reasoning) end
  )
  from public.messages as m
  where m.id = p_message_id and m.user_id = (select auth.uid()) and m.role = 'assistant'
$$;

comment on function public.read_reply(uuid, integer, integer) is
'{text, reasoning, message, length, reasoned} of a reply of the caller: its text after the first p_after code points, what '
'was thought after the first p_reasoned, its row without both, and how long each is as a whole once the reply has ended. '
'Null when there is no such reply.';

revoke all on function public.read_reply(uuid, integer, integer) from public, anon, service_role;
grant execute on function public.read_reply(uuid, integer, integer) to authenticated;

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
        'prompt_tokens', new.prompt_tokens, 'completion_tokens', new.completion_tokens
      ),
      v_event, v_topic, true
    );
  end if;
  return null;
end;
$$;

comment on function private.announce_reply() is
'Trigger: message.delta for each piece that a reply grows by, with reasoning where there is new, then how it ended: '
'message.completed (also when filtered), message.stopped, message.failed or message.interrupted.';
