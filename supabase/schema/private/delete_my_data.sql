-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.delete_my_data() returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_window constant interval := interval '60 seconds';
  v_user_id constant uuid := auth.uid();
  v_conversations uuid[];
  v_long uuid;
  v_documents uuid[];
  v_ended jsonb := '[]';
  v_messages integer := 0;
  v_minute bigint;
begin
  if v_user_id is null then
    raise exception using errcode = 'PT401', message = 'unauthenticated', detail = 'A signed-in user is required.';
  end if;
  -- not while a turn begins
  perform pg_advisory_xact_lock(hashtextextended(v_user_id::text, 0));

  -- a part that a statement's time is enough for: the caller calls again while there is more
  select array_agg(t.id) into v_conversations
  from (
    select
      c.id, sum(c.messages) over (order by c.position) as up_to
    from (
      select o.id, o.position, coalesce(o.message_count, 1000) as messages
      from public.conversations as o
      where o.user_id = v_user_id
      order by o.position
      limit 500
    ) as c
  ) as t
  where t.up_to <= 5000;
  if v_conversations is null then
    select c.id into v_long from public.conversations as c
    where c.user_id = v_user_id
    order by c.position
    limit 1;
  end if;

  if v_conversations is not null or v_long is not null then
    -- of a long conversation the newest messages first, which no others follow
    with gone as (
      delete from public.messages as m
      where m.id in (
        select o.id from public.messages as o
        where o.conversation_id = v_long and o.user_id = v_user_id
        order by o.position desc
        limit 5000
      )
      returning m.id, m.status
    )
    select count(*), coalesce(jsonb_agg(g.id) filter (where g.status = 'streaming'), '[]')
    into v_messages, v_ended
    from gone as g;
    if v_conversations is null and v_messages = 0 then
      v_conversations := array[v_long];
    end if;
    select v_messages + count(*), v_ended || coalesce(jsonb_agg(m.id) filter (where m.status = 'streaming'), '[]')
    into v_messages, v_ended
    from public.messages as m
    where m.user_id = v_user_id and m.conversation_id = any(v_conversations);
    delete from public.conversations as c where c.id = any(v_conversations);
    return jsonb_build_object(
      'more', true, 'ended', v_ended, 'conversations', coalesce(cardinality(v_conversations), 0),
      'messages', v_messages, 'documents', 0
    );
  end if;

  select array_agg(t.id) into v_documents
  from (
    select d.id, sum(d.passages) over (order by d.position) - d.passages as before
    from (
      select o.id, o.position, o.passages from public.documents as o
      where o.user_id = v_user_id
      order by o.position
      limit 100
    ) as d
  ) as t
  where t.before < 1000;
  if v_documents is not null then
    delete from public.documents as d where d.id = any(v_documents);
    return jsonb_build_object(
      'more', true, 'ended', '[]'::jsonb, 'conversations', 0, 'messages', 0, 'documents', cardinality(v_documents)
    );
  end if;

  delete from public.user_settings as s where s.user_id = v_user_id;

  -- what the limits count stays counted, as sums: deleting is no way around them
  insert into private.carried_costs as c (user_id, month, cost_micro_usd)
  select v_user_id, private.month_start(), sum(l.cost_micro_usd)
  from private.usage_ledger as l
  where l.user_id = v_user_id and l.created_at >= private.month_start()
  having sum(l.cost_micro_usd) > 0
  on conflict (user_id, month) do update set cost_micro_usd = c.cost_micro_usd + excluded.cost_micro_usd;
  select sum(l.tokens) into v_minute
  from private.usage_ledger as l
  where l.user_id = v_user_id and l.kind = 'reply' and l.created_at > clock_timestamp() - c_window;
  if v_minute > 0 then
    insert into private.reservations (reply_id, user_id, prompt_tokens, output_tokens, expires_at)
    values (gen_random_uuid(), v_user_id, least(v_minute, 2147483647), 0, clock_timestamp() + c_window);
  end if;
  update private.usage_ledger as l set user_id = '00000000-0000-0000-0000-000000000000' where l.user_id = v_user_id;

  return jsonb_build_object(
    'more', exists (
      -- a reply that was being written is entered by its process, and made anonymous by the next call
      select from private.reservations as r
      where r.user_id = v_user_id and (r.input_tokens > 0 or r.calls is not null or r.first_model is not null)
    ),
    'ended', '[]'::jsonb, 'conversations', 0, 'messages', 0, 'documents', 0
  );
end;
$$;

comment on function private.delete_my_data() is
'See public.delete_my_data.';

grant execute on function private.delete_my_data() to authenticated;
