-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.journal_write(
  p_pieces jsonb,
  p_alive uuid[],
  p_spent jsonb default '[]'::jsonb
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
'Appends pieces [{id, seq, text, reasoning, provider, model, sources}], at most one a reply, to those replies of p_alive that are streaming, keeps the calls that were made so far, [{id, calls}] (see private.settle), renews the leases of p_alive, and returns {stop, gone}: the replies a user asked to stop, and those that were deleted. For the service.';

grant execute on function public.journal_write(jsonb, uuid[], jsonb) to service_role;
