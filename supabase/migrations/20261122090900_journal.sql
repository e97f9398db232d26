-- The service's three writes: append to all live replies, finish some, and end those whose writer is gone.
create function public.journal_write(p_pieces jsonb, p_alive uuid[]) returns jsonb
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
    seq = p.seq,
    provider = p.provider,
    model = p.model,
    sources = coalesce(p.sources, m.sources),
    updated_at = now()
  from jsonb_to_recordset(p_pieces) as p (id uuid, seq integer, text text, provider text, model text, sources jsonb)
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
'Appends pieces [{id, seq, text, provider, model, sources}], at most one a reply, to those replies of p_alive that are streaming, '
'renews the leases of p_alive, and returns {stop, gone}: the replies a user asked to stop, and those that were deleted. '
'For the service.';

create function public.finish_replies(p_replies jsonb) returns jsonb
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
      id uuid, content text, status text, finish_reason text, error_code text, provider text, model text,
      sources jsonb, prompt_tokens integer, completion_tokens integer, cached_tokens integer,
      flagged text[], flagged_part text, screened boolean
    )
  ), finished as (
    update public.messages as m
    set
      content = r.content,
      -- a text that is taken back is a piece, too: devices must hear that theirs is void
      seq = m.seq + (r.content <> m.content)::integer,
      status = r.status,
      finish_reason = r.finish_reason,
      error_code = r.error_code,
      provider = r.provider,
      model = r.model,
      sources = r.sources,
      prompt_tokens = r.prompt_tokens,
      completion_tokens = r.completion_tokens,
      cached_tokens = r.cached_tokens,
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
'Writes the final text, status and usage of replies, settles what they used (user_id, cost_micro_usd; see private.settle) '
'and releases their leases. flagged: the categories for which moderation refused the reply, or with flagged_part input the '
'message it answers; screened: moderation let that message pass. Returns the ids that exist: one that is missing was '
'deleted. A repeated call changes nothing. For the service.';

create function public.recover_replies() returns jsonb
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
    select l.message_id, v.prompt_tokens
    from private.live_replies as l
    join public.messages as m on m.id = l.message_id
    left join private.reservations as v on v.reply_id = l.message_id
    where l.lease_expires_at < now()
    limit 500
    for update of l skip locked
    for no key update of m skip locked
  ), released as (
    delete from private.live_replies as l using dead as d where l.message_id = d.message_id
  ), recovered as (
    update public.messages as m
    set
      status = 'interrupted',
      error_code = 'interrupted',
      -- what nobody got to read costs nothing; for the rest the provider's count is lost with the writer
      prompt_tokens = case when m.content <> '' then coalesce(d.prompt_tokens, 0) end,
      completion_tokens = case when m.content <> '' then private.estimate_tokens(m.content) end,
      updated_at = now()
    from dead as d
    where m.id = d.message_id and m.status = 'streaming'
    returning m.id, m.user_id, m.provider, m.model, m.prompt_tokens, m.completion_tokens
  )
  select coalesce(jsonb_agg(r.id), '[]'), coalesce(jsonb_agg(to_jsonb(r)), '[]') into v_recovered, v_used
  from recovered as r;
  perform private.settle(v_used);

  -- of replies that were deleted while they were written, and whose writer never came to settle them
  delete from private.reservations as v
  where v.reply_id in (
    select o.reply_id from private.reservations as o
    where
      o.expires_at < now()
      and not exists (select from private.live_replies as l where l.message_id = o.reply_id)
    limit 1000
    for update skip locked
  );

  delete from private.idempotency_keys as k
  where (k.user_id, k.key) in (
    select o.user_id, o.key from private.idempotency_keys as o
    where o.created_at < now() - interval '24 hours'
    order by o.created_at
    limit 1000
    for update skip locked
  );

  return v_recovered;
end;
$$;

comment on function public.recover_replies() is
'Ends replies whose lease has run out as interrupted, keeping their text, settles them by an estimate, releases what is held '
'for replies that are no more, and forgets idempotency keys older than 24 hours. '
'Returns the ids it ended. Any replica calls it, every few seconds and at its start. For the service.';

revoke all on function public.journal_write(jsonb, uuid[]) from public, anon, authenticated;
revoke all on function public.finish_replies(jsonb) from public, anon, authenticated;
revoke all on function public.recover_replies() from public, anon, authenticated;
grant execute on function public.journal_write(jsonb, uuid[]) to service_role;
grant execute on function public.finish_replies(jsonb) to service_role;
grant execute on function public.recover_replies() to service_role;
