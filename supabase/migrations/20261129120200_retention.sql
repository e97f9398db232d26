-- Before the code: nothing is removed until an operator calls public.retire.
--
-- Each step looks at some rows in the order of a key, removes those that are old enough, and says where the next one
-- begins. So no step takes long or locks much, and a run that was cut off has removed what its steps had removed: the next
-- one starts at the beginning and finds the rest.

create function private.retire_conversations(p_before timestamptz, p_after bigint, p_texts boolean, p_dry_run boolean)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_conversations constant integer := 1000;
  -- of a step; a conversation of more is a step of its own
  c_messages constant integer := 2000;
  v_last bigint;
  v_taken bigint;
  v_ids uuid[];
  v_more bigint;
  v_messages bigint;
begin
  -- a message, a title or a switch of branches is an activity, and so is an import of what is older
  with looked as (
    select c.* from public.conversations as c
    where c.position > p_after
    order by c.position
    limit c_conversations
  ), idle as (
    select
      l.id, l.position, coalesce(l.message_count, 1000) as messages,
      sum(coalesce(l.message_count, 1000)) over (order by l.position) as up_to
    from looked as l
    where
      greatest(l.last_message_at, l.updated_at) < p_before
      and (not p_texts or l.title is not null or l.preview is not null or l.instructions is not null)
  )
  select
    (select max(l.position) from looked as l),
    max(i.position) filter (where i.up_to - i.messages < c_messages),
    array_agg(i.id) filter (where i.up_to - i.messages < c_messages),
    count(*) filter (where i.up_to - i.messages >= c_messages)
  into v_last, v_taken, v_ids, v_more
  from idle as i;
  if v_more > 0 then
    v_last := v_taken;
  end if;

  if not p_dry_run then
    -- one that is in use is left for another run, and judged again: a turn may just have begun
    select array_agg(k.id) into v_ids
    from (
      select c.id from public.conversations as c
      where c.id = any(v_ids) and greatest(c.last_message_at, c.updated_at) < p_before
      for update skip locked
    ) as k;
  end if;
  select count(*) into v_messages from public.messages as m where m.conversation_id = any(v_ids);
  if not p_dry_run and p_texts then
    -- what remains says when, how much and by which model, but not what
    update public.messages as m
    set content = '', reasoning = '', sources = null, feedback = m.feedback || '{"comment": null}'
    where m.conversation_id = any(v_ids);
    update public.conversations as c
    set title = null, preview = null, instructions = null
    where c.id = any(v_ids);
  elsif not p_dry_run then
    delete from public.conversations as c where c.id = any(v_ids);
  end if;
  return jsonb_build_object(
    'rows', coalesce(cardinality(v_ids), 0), 'messages', v_messages, 'next', v_last::text
  );
end;
$$;

comment on function private.retire_conversations(timestamptz, bigint, boolean, boolean) is
'A step over the conversations after p_after: those without activity since p_before are deleted, or with p_texts emptied: '
'no message, title or instruction of theirs has text then.';

create function private.retire_documents(p_before timestamptz, p_after bigint, p_dry_run boolean) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_documents constant integer := 1000;
  c_passages constant integer := 1000;
  v_last bigint;
  v_taken bigint;
  v_ids uuid[];
  v_more bigint;
begin
  with looked as (
    select d.* from public.documents as d
    where d.position > p_after
    order by d.position
    limit c_documents
  ), old as (
    select l.id, l.position, l.passages, sum(l.passages) over (order by l.position) as up_to
    from looked as l
    where l.updated_at < p_before
  )
  select
    (select max(l.position) from looked as l),
    max(o.position) filter (where o.up_to - o.passages < c_passages),
    array_agg(o.id) filter (where o.up_to - o.passages < c_passages),
    count(*) filter (where o.up_to - o.passages >= c_passages)
  into v_last, v_taken, v_ids, v_more
  from old as o;
  if v_more > 0 then
    v_last := v_taken;
  end if;
  if not p_dry_run then
    with gone as (
      delete from public.documents as d
      where d.id in (
        select o.id from public.documents as o where o.id = any(v_ids) and o.updated_at < p_before
        for update skip locked
      )
      returning d.id
    )
    select array_agg(g.id) into v_ids from gone as g;
  end if;
  return jsonb_build_object('rows', coalesce(cardinality(v_ids), 0), 'next', v_last::text);
end;
$$;

comment on function private.retire_documents(timestamptz, bigint, boolean) is
'A step over the documents after p_after: those that were written or indexed last before p_before are deleted.';

create function private.retire_ledger(p_before timestamptz, p_after uuid, p_dry_run boolean) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_rows constant integer := 5000;
  c_users constant integer := 500;
  v_user_id uuid := p_after;
  v_done uuid := p_after;
  v_rows bigint := 0;
  v_here bigint;
begin
  for _ in 1..c_users loop
    -- the next user: the index has the users in order, and no user's entries are read
    select l.user_id into v_user_id
    from private.usage_ledger as l
    where v_user_id is null or l.user_id > v_user_id
    order by l.user_id
    limit 1;
    if not found then
      return jsonb_build_object('rows', v_rows, 'next', null);
    end if;
    if p_dry_run then
      select count(*) into v_here from private.usage_ledger as l
      where l.user_id = v_user_id and l.created_at < p_before;
    else
      -- the entries become their sums in one statement
      with gone as (
        delete from private.usage_ledger as l
        where (l.reply_id, l.entry) in (
          select o.reply_id, o.entry from private.usage_ledger as o
          where o.user_id = v_user_id and o.created_at < p_before
          order by o.created_at
          limit c_rows - v_rows
        )
        returning l.*
      ), summed as (
        insert into private.usage_sums as s (
          month, kind, provider, model, entries, prompt_tokens, completion_tokens, cached_tokens, cost_micro_usd,
          unpriced_entries
        )
        select
          (date_trunc('month', g.created_at, 'UTC') at time zone 'UTC')::date as month,
          g.kind, coalesce(g.provider, '') as provider, coalesce(g.model, '') as model,
          count(*), sum(g.prompt_tokens), sum(g.completion_tokens), sum(g.cached_tokens),
          coalesce(sum(g.cost_micro_usd), 0), count(*) filter (where g.cost_micro_usd is null)
        from gone as g
        group by 1, 2, 3, 4
        order by 1, 2, 3, 4
        on conflict (month, kind, provider, model) do update
        set
          entries = s.entries + excluded.entries,
          prompt_tokens = s.prompt_tokens + excluded.prompt_tokens,
          completion_tokens = s.completion_tokens + excluded.completion_tokens,
          cached_tokens = s.cached_tokens + excluded.cached_tokens,
          cost_micro_usd = s.cost_micro_usd + excluded.cost_micro_usd,
          unpriced_entries = s.unpriced_entries + excluded.unpriced_entries
      )
      select count(*) into v_here from gone;
    end if;
    v_rows := v_rows + v_here;
    if v_rows >= c_rows and not p_dry_run then
      -- this user may have more
      return jsonb_build_object('rows', v_rows, 'next', coalesce(v_done, '00000000-0000-0000-0000-000000000000'));
    end if;
    v_done := v_user_id;
  end loop;
  return jsonb_build_object('rows', v_rows, 'next', v_done);
end;
$$;

comment on function private.retire_ledger(timestamptz, uuid, boolean) is
'A step over the users after p_after: the entries of theirs that are older than p_before become sums in private.usage_sums.';

create function private.retire_records(p_kind text, p_before timestamptz, p_after text, p_dry_run boolean) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_rows constant integer := 2000;
  v_table text;
  v_key text;
  v_type text;
  v_time text;
  v_rows bigint;
  v_last text;
begin
  select r.relation, r.key, r.type, r.time into v_table, v_key, v_type, v_time
  from (
    values
    ('audit', 'moderation_audit', 'id', 'bigint', 'created_at'),
    ('imports', 'imports', 'id', 'uuid', 'updated_at'),
    ('keys', 'personal_keys', 'id', 'uuid', 'expires_at'),
    ('idempotency', 'idempotency_keys', 'message_id', 'uuid', 'created_at'),
    ('meters', 'meters', 'user_id', 'uuid', 'full_at')
  ) as r (kind, relation, key, type, time)
  where r.kind = p_kind;
  -- rows with one key are looked at together
  execute format(
    'select l.key::text from (select t.%1$I as key from private.%2$I as t where $1 is null or t.%1$I > $1::%3$s '
    'order by t.%1$I limit %4$s) as l order by l.key desc limit 1',
    v_key, v_table, v_type, c_rows
  ) into v_last using p_after;
  if v_last is null then
    return jsonb_build_object('rows', 0, 'next', null);
  end if;
  execute format(
    case when p_dry_run
      then 'select count(*) from private.%2$I as t where ($1 is null or t.%1$I > $1::%3$s) and t.%1$I <= $2::%3$s and t.%4$I < $3'
      else 'with gone as (delete from private.%2$I as t where ($1 is null or t.%1$I > $1::%3$s) and t.%1$I <= $2::%3$s '
        'and t.%4$I < $3 returning 1) select count(*) from gone'
    end,
    v_key, v_table, v_type, v_time
  ) into v_rows using p_after, v_last, p_before;
  return jsonb_build_object('rows', v_rows, 'next', v_last);
end;
$$;

comment on function private.retire_records(text, timestamptz, text, boolean) is
'A step over the rows after p_after of a table that is small or has its key in order: those older than p_before are deleted.';

create function public.retire(p_kind text, p_days integer, p_after text default null, p_dry_run boolean default true)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  -- kind, and the least number of days: what the budget of a month counts must not go, nor a key's 24 hours
  c_least constant jsonb := '{
    "conversations": 1, "texts": 1, "documents": 1, "ledger": 62, "audit": 1, "imports": 2, "keys": 1, "idempotency": 2,
    "meters": 1
  }';
  c_most constant integer := 36500;
  v_before timestamptz;
begin
  if p_kind is null or not c_least ? p_kind then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = format(
      'p_kind: expected one of %s.', (select string_agg(k, ', ' order by k) from jsonb_object_keys(c_least) as k)
    );
  end if;
  if p_days is null or p_days not between (c_least ->> p_kind)::integer and c_most then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = format(
      'p_days: expected %s to %s days of %s.', c_least ->> p_kind, c_most, p_kind
    );
  end if;
  v_before := now() - p_days * interval '1 day';
  return case p_kind
    when 'conversations' then
      private.retire_conversations(v_before, coalesce(p_after::bigint, -1), false, coalesce(p_dry_run, true))
    when 'texts' then
      private.retire_conversations(v_before, coalesce(p_after::bigint, -1), true, coalesce(p_dry_run, true))
    when 'documents' then private.retire_documents(v_before, coalesce(p_after::bigint, -1), coalesce(p_dry_run, true))
    when 'ledger' then private.retire_ledger(v_before, p_after::uuid, coalesce(p_dry_run, true))
    else private.retire_records(p_kind, v_before, p_after, coalesce(p_dry_run, true))
  end;
end;
$$;

comment on function public.retire(text, integer, text, boolean) is
'One step of removing what is older than p_days: conversations without activity, or with texts only what is said in them; '
'documents; ledger (entries become sums, at least 62 days); audit (of moderation); imports; keys (personal keys that '
'expired); idempotency; meters. Returns {rows, next, messages}: how many rows, and where the next step begins, as its '
'p_after; null when this was the last. Unless p_dry_run is false, rows are counted and nothing is removed. '
'Error: PT422 invalid_request. For the service.';

grant delete on table private.usage_ledger to service_role;
grant select, delete on table private.moderation_audit to service_role;
grant select, delete on table private.imports to service_role;
grant select, delete on table private.meters to service_role;
grant select, delete on table private.personal_keys to service_role;

revoke all on function private.retire_conversations(timestamptz, bigint, boolean, boolean)
from public, anon, authenticated, service_role;
revoke all on function private.retire_documents(timestamptz, bigint, boolean)
from public, anon, authenticated, service_role;
revoke all on function private.retire_ledger(timestamptz, uuid, boolean) from public, anon, authenticated, service_role;
revoke all on function private.retire_records(text, timestamptz, text, boolean)
from public, anon, authenticated, service_role;
revoke all on function public.retire(text, integer, text, boolean) from public, anon, authenticated, service_role;
grant execute on function private.retire_conversations(timestamptz, bigint, boolean, boolean) to service_role;
grant execute on function private.retire_documents(timestamptz, bigint, boolean) to service_role;
grant execute on function private.retire_ledger(timestamptz, uuid, boolean) to service_role;
grant execute on function private.retire_records(text, timestamptz, text, boolean) to service_role;
grant execute on function public.retire(text, integer, text, boolean) to service_role;
