-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.export_messages(
  p_conversation_id uuid,
  p_after bigint default 0
) returns jsonb
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
'Messages of the caller''s conversation after a position, on all branches, in the order of their creation: at most 200, and no further one after 200,000 characters. {items, last, more} as for export_conversations.';

grant execute on function public.export_messages(uuid, bigint) to authenticated;
