-- Written by `make schema` from the migrations: to change it, add a migration.

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

comment on function public.finish_replies(jsonb, boolean) is
'Writes the final text, reasoning, status, problem and usage of replies, settles what they used (user_id, cost_micro_usd; see private.settle) and releases their leases. flagged: the categories for which moderation refused the reply, or with flagged_part input the message it answers; screened: moderation let that message pass. Returns the ids that exist, with p_costs [{id, cost_micro_usd}]: one that is missing was deleted. A repeated call changes nothing. For the service.';

grant execute on function public.finish_replies(jsonb, boolean) to service_role;
