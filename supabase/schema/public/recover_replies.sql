-- Written by `make schema` from the migrations: to change it, add a migration.

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

comment on function public.recover_replies() is
'Ends replies whose lease has run out as interrupted, keeping their text, charges the calls that they had made, so far as the journal knew (see private.lost_calls), charges and releases what is held for replies that are no more, forgets idempotency keys older than 24 hours, and makes trees of the conversations that release 0.1.0 left. Returns the ids it ended. Any replica calls it, every few seconds and at its start. For the service.';

grant execute on function public.recover_replies() to service_role;
