-- Before the code: it reads these functions. The release before does not call them.

-- Parts of bounded size, so that an export of any length holds little at a time, here and in the API.
create function public.export_conversations(p_after bigint default 0, p_conversation_id uuid default null) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  select array_agg(c.id order by c.position) into v_ids
  from (
    select o.id, o.position from public.conversations as o
    where
      o.user_id = (select auth.uid())
      and o.position > p_after
      and (p_conversation_id is null or o.id = p_conversation_id)
    order by o.position
    limit 100
  ) as c;
  perform private.plant_tree(c.id)
  from public.conversations as c
  where c.id = any(v_ids) and c.message_count is null;
  return jsonb_build_object(
    'items', coalesce(
      (select jsonb_agg(to_jsonb(c) order by c.position) from public.conversations as c where c.id = any(v_ids)), '[]'
    ),
    'last', (select max(c.position) from public.conversations as c where c.id = any(v_ids)),
    'more', coalesce(cardinality(v_ids), 0) = 100
  );
end;
$$;

comment on function public.export_conversations(bigint, uuid) is
'The caller''s conversations after a position in the order of their creation, at most 100, or one of them: {items, last: '
'the position to go on from, more: whether there may be more}.';

create function public.export_messages(p_conversation_id uuid, p_after bigint default 0) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  with following as materialized (
    select m.id, m.position
    from public.messages as m
    where m.conversation_id = p_conversation_id and m.user_id = (select auth.uid()) and m.position > p_after
    order by m.position
    limit 200
  ), measured as (
    select
      f.id, f.position,
      sum(char_length(m.content) + char_length(m.reasoning)) over (order by f.position)
      - char_length(m.content) - char_length(m.reasoning) as before
    from following as f
    join public.messages as m on m.id = f.id
  ), taken as (
    select t.id, t.position from measured as t where t.before < 200000
  )
  select jsonb_build_object(
    'items', coalesce(
      (select jsonb_agg(to_jsonb(m) order by m.position) from taken as t join public.messages as m on m.id = t.id), '[]'
    ),
    'last', (select max(t.position) from taken as t),
    'more', (select count(*) from taken) < (select count(*) from following) or (select count(*) from following) = 200
  )
$$;

comment on function public.export_messages(uuid, bigint) is
'Messages of the caller''s conversation after a position, on all branches, in the order of their creation: at most 200, and '
'no further one after 200,000 characters. {items, last, more} as for export_conversations.';

revoke all on function public.export_conversations(bigint, uuid) from public, anon, authenticated, service_role;
revoke all on function public.export_messages(uuid, bigint) from public, anon, authenticated, service_role;
grant execute on function public.export_conversations(bigint, uuid) to authenticated;
grant execute on function public.export_messages(uuid, bigint) to authenticated;
