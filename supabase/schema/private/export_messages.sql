-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.export_messages(
  p_conversation_id uuid,
  p_after bigint
) returns jsonb
language plpgsql
stable
security definer
set search_path = ''
set enable_seqscan = 'off'
set enable_bitmapscan = 'off'
set enable_sort = 'off'
set jit = 'off'
as $$
declare
  c_messages constant integer := 200;
  c_characters constant integer := 200000;
  v_user_id constant uuid := auth.uid();
  v_part jsonb;
begin
  with following as materialized (
    select m.id, m.position, char_length(m.content) + char_length(m.reasoning) as characters
    from public.messages as m
    where
      m.user_id = v_user_id
      -- written as the order of the one index that can be read in it; by another, everybody's would be looked through
      and (m.conversation_id, m.user_id, m.position) > (p_conversation_id, v_user_id, coalesce(p_after, 0))
      and (m.conversation_id, m.user_id, m.position) <= (p_conversation_id, v_user_id, 9223372036854775807)
    order by m.conversation_id, m.user_id, m.position
    limit c_messages
  ), taken as materialized (
    select t.id, t.position
    from (
      select f.*, sum(f.characters) over (order by f.position) - f.characters as before from following as f
    ) as t
    where t.before < c_characters
  )
  select jsonb_build_object(
    'items', coalesce(
      (
        select jsonb_agg(to_jsonb(o.message) order by t.position)
        from taken as t
        cross join lateral (select m as message from public.messages as m where m.id = t.id offset 0) as o
      ),
      '[]'
    ),
    'last', (select max(t.position) from taken as t),
    'more',
    (select count(*) from taken) < (select count(*) from following)
    or (select count(*) from following) = c_messages
  )
  into v_part;
  return v_part;
end;
$$;

comment on function private.export_messages(uuid, bigint) is
'What public.export_messages returns. The messages of auth.uid() only.';

grant execute on function private.export_messages(uuid, bigint) to authenticated;
