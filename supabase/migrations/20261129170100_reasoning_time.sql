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
