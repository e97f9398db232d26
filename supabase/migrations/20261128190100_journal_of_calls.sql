-- Before the code: the journal tells the calls of a reply. Replicas of the release before do not name p_spent.
drop function public.journal_write(jsonb, uuid[]);

create function public.journal_write(p_pieces jsonb, p_alive uuid[], p_spent jsonb default '[]') returns jsonb
language plpgsql
volatile
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

  -- the tables in one order, here and in finish_replies: calls that come to wait for each other's rows lose a second
  perform from public.messages as m
  where m.id in (select p.id from jsonb_to_recordset(p_pieces) as p (id uuid)) and m.id = any(v_kept)
  order by m.id
  for no key update;
  perform from private.live_replies as l where l.message_id = any(v_kept) order by l.message_id for update;
  perform from private.reservations as v
  where v.reply_id in (select s.id from jsonb_to_recordset(p_spent) as s (id uuid))
  order by v.reply_id
  for update;

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

  -- of deleted replies too: what they have used is charged all the same
  update private.reservations as v
  set
    calls = s.calls,
    -- a prompt that is sent again is paid again: then more is held than at the beginning
    prompt_tokens = greatest(v.prompt_tokens, private.prompt_tokens_of(s.calls))
  from jsonb_to_recordset(p_spent) as s (id uuid, calls jsonb)
  where v.reply_id = s.id;

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

comment on function public.journal_write(jsonb, uuid[], jsonb) is
'Appends pieces [{id, seq, text, reasoning, provider, model, sources}], at most one a reply, to those replies of p_alive '
'that are streaming, keeps the calls that were made so far, [{id, calls}] (see private.settle), renews the leases of '
'p_alive, and returns {stop, gone}: the replies a user asked to stop, and those that were deleted. For the service.';

create function private.prompt_tokens_of(p_calls jsonb) returns integer
language sql
immutable
security invoker
set search_path = ''
as $$
  select coalesce(sum(c.prompt_tokens), 0)::integer
  from jsonb_to_recordset(p_calls) as c (kind text, prompt_tokens integer)
  where coalesce(c.kind, 'reply') = 'reply'
$$;

comment on function private.prompt_tokens_of(jsonb) is
'How many tokens of input the calls for a reply had, without those of embeddings: see private.settle.';

create function private.completion_tokens_of(p_calls jsonb) returns integer
language sql
immutable
security invoker
set search_path = ''
as $$
  select coalesce(sum(c.completion_tokens), 0)::integer
  from jsonb_to_recordset(p_calls) as c (kind text, completion_tokens integer)
  where coalesce(c.kind, 'reply') = 'reply'
$$;

comment on function private.completion_tokens_of(jsonb) is
'How many tokens of output the calls for a reply had: see private.settle.';

create function private.lost_calls(
  p_held private.reservations, p_written integer, p_provider text, p_model text
) returns jsonb
language sql
immutable
security invoker
set search_path = ''
as $$
  select case
    when p_held.calls is not null then p_held.calls
    -- the process died before its first word: it had asked its first model, or was about to
    when p_held.first_model is not null then jsonb_build_array(jsonb_build_object(
      'provider', p_held.first_model ->> 'provider', 'model', p_held.first_model ->> 'model',
      'prompt_tokens', p_held.input_tokens, 'completion_tokens', 0, 'cached_tokens', 0,
      'cost_micro_usd', ceil(p_held.input_tokens * (p_held.first_model ->> 'input')::numeric / 1000000)::bigint
    ))
    -- a process of the release before, which tells its text alone
    when p_written > 0 then jsonb_build_array(jsonb_build_object(
      'provider', p_provider, 'model', p_model, 'prompt_tokens', coalesce(nullif(p_held.input_tokens, 0), p_held.prompt_tokens, 0),
      'completion_tokens', p_written, 'cached_tokens', 0
    ))
    else '[]'
  end
$$;

comment on function private.lost_calls(private.reservations, integer, text, text) is
'The calls of a reply whose process is gone, as private.settle takes them: those that the journal knew; before it knew '
'any, the one that had begun; of a process that tells none, an estimate by the p_written tokens that are stored. A turn that nobody took up has none.';

create or replace function public.recover_replies() returns jsonb
language plpgsql
volatile
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
      l.message_id,
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
    delete from private.live_replies as l using dead as d where l.message_id = d.message_id
  ), recovered as (
    update public.messages as m
    set
      status = 'interrupted',
      error_code = 'interrupted',
      prompt_tokens = case when d.calls <> '[]' then private.prompt_tokens_of(d.calls) end,
      completion_tokens = case when d.calls <> '[]' then private.completion_tokens_of(d.calls) end,
      reasoning_tokens = case when m.reasoning <> '' then private.estimate_tokens(m.reasoning) end,
      updated_at = now()
    from dead as d
    where m.id = d.message_id and m.status = 'streaming'
    returning m.id, m.user_id, d.calls
  )
  select coalesce(jsonb_agg(r.id), '[]'), coalesce(jsonb_agg(to_jsonb(r)), '[]') into v_recovered, v_used
  from recovered as r;
  perform private.settle(v_used);

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

  return v_recovered;
end;
$$;

comment on function public.recover_replies() is
'Ends replies whose lease has run out as interrupted, keeping their text, charges the calls that they had made, so far as '
'the journal knew (see private.lost_calls), charges and releases what is held for replies that are no more, and forgets '
'idempotency keys older than 24 hours. Returns the ids it ended. Any replica calls it, every few seconds and at its '
'start. For the service.';

revoke all on function public.journal_write(jsonb, uuid[], jsonb) from public, anon, authenticated;
grant execute on function public.journal_write(jsonb, uuid[], jsonb) to service_role;
revoke all on function private.prompt_tokens_of(jsonb) from public, anon, authenticated, service_role;
revoke all on function private.completion_tokens_of(jsonb) from public, anon, authenticated, service_role;
revoke all on function private.lost_calls(private.reservations, integer, text, text)
from public, anon, authenticated, service_role;
grant execute on function private.prompt_tokens_of(jsonb) to service_role;
grant execute on function private.completion_tokens_of(jsonb) to service_role;
grant execute on function private.lost_calls(private.reservations, integer, text, text) to service_role;
