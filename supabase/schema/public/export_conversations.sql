-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.export_conversations(
  p_after bigint default 0,
  p_conversation_id uuid default null
) returns jsonb
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
'The caller''s conversations after a position in the order of their creation, at most 100, or one of them: {items, last: the position to go on from, more: whether there may be more}.';

grant execute on function public.export_conversations(bigint, uuid) to authenticated;
