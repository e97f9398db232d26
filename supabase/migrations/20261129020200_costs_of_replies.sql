-- Before the code: a reply ends with its cost, in its row and in its event. Replicas of the release before ask for no costs
-- and are answered as before.
drop function public.finish_replies(jsonb);

create function public.finish_replies(
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

comment on function public.finish_replies(jsonb, boolean) is
'Writes the final text, reasoning, status, problem and usage of replies, settles what they used (user_id, cost_micro_usd; see private.settle) and releases their leases. flagged: the categories for which moderation refused the reply, or with flagged_part input the message it answers; screened: moderation let that message pass. Returns the ids that exist, with p_costs [{id, cost_micro_usd}]: one that is missing was deleted. A repeated call changes nothing. For the service.';

revoke all on function public.finish_replies(jsonb, boolean) from public, anon, authenticated;
grant execute on function public.finish_replies(jsonb, boolean) to service_role;

create or replace function public.recover_replies() returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_recovered jsonb;
  v_used jsonb;
begin
  -- both rows are locked without waiting, so nobody's journal write, deletion or recovery is held up, or holds this up
  with dead as materialized (
    select
      m.id, m.user_id, m.status,
      private.lost_calls(
        v, private.estimate_tokens(m.content) + private.estimate_tokens(m.reasoning), m.provider, m.model
      ) as calls
    from private.live_replies as l
    join public.messages as m on m.id = l.message_id
    left join private.reservations as v on v.reply_id = l.message_id
    where l.lease_expires_at < now()
    limit 500
    for update of l skip locked
    for no key update of m skip locked
  ), released as (
    delete from private.live_replies as l using dead as d where l.message_id = d.id
  )
  select
    coalesce(jsonb_agg(d.id), '[]'),
    coalesce(jsonb_agg(jsonb_build_object('id', d.id, 'user_id', d.user_id, 'calls', d.calls)), '[]')
  into v_recovered, v_used
  from dead as d
  where d.status = 'streaming';
  -- before they end, which tells their cost
  perform private.settle(v_used);

  update public.messages as m
  set
    status = 'interrupted',
    error_code = 'interrupted',
    prompt_tokens = case when d.calls <> '[]' then private.prompt_tokens_of(d.calls) end,
    completion_tokens = case when d.calls <> '[]' then private.completion_tokens_of(d.calls) end,
    reasoning_tokens = case when m.reasoning <> '' then private.estimate_tokens(m.reasoning) end,
    cost_micro_usd = private.reply_cost(m.id),
    updated_at = now()
  from jsonb_to_recordset(v_used) as d (id uuid, calls jsonb)
  where m.id = d.id;

  -- of replies that were deleted while they were written, and whose writer never came to settle them
  select coalesce(jsonb_agg(o.used), '[]') into v_used
  from (
    select jsonb_build_object(
      'id', v.reply_id, 'user_id', v.user_id, 'calls', private.lost_calls(v, 0, null, null)
    ) as used
    from private.reservations as v
    where
      v.expires_at < now()
      and not exists (select from private.live_replies as l where l.message_id = v.reply_id)
    limit 1000
    for update skip locked
  ) as o;
  perform private.settle(v_used);

  delete from private.idempotency_keys as k
  where (k.user_id, k.key) in (
    select o.user_id, o.key from private.idempotency_keys as o
    where o.created_at < now() - interval '24 hours'
    order by o.created_at
    limit 1000
    for update skip locked
  );

  perform private.plant_trees();

  return v_recovered;
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
        'cost_micro_usd', new.cost_micro_usd
      ),
      v_event, v_topic, true
    );
  end if;
  return null;
end;
$$;
