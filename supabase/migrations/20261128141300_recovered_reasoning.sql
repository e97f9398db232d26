-- Before the code. The release before stores no reasoning, so nothing changes for its replies.
-- What a model thought is paid for like its text, also when the writer of its reply is gone before it can settle that.
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
      prompt_tokens = case when m.content <> '' or m.reasoning <> '' then coalesce(d.prompt_tokens, 0) end,
      completion_tokens = case
        when m.content <> '' or m.reasoning <> ''
          then private.estimate_tokens(m.content) + private.estimate_tokens(m.reasoning)
      end,
      reasoning_tokens = case when m.reasoning <> '' then private.estimate_tokens(m.reasoning) end,
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
