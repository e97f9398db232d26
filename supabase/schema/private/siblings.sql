-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.siblings(
  p_message public.messages
) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select
    case when count(*) > 1 then jsonb_build_object(
      'index', count(*) filter (where s.position <= p_message.position),
      'count', count(*),
      'previous_id', (array_agg(s.id order by s.position desc) filter (where s.position < p_message.position))[1],
      'next_id', (array_agg(s.id order by s.position) filter (where s.position > p_message.position))[1]
    ) end
  from (
    select m.id, m.position, m.user_id from public.messages as m
    where m.parent_id = p_message.parent_id
    union all
    select m.id, m.position, m.user_id from public.messages as m
    where p_message.parent_id is null and m.parent_id is null and m.conversation_id = p_message.conversation_id
  ) as s
  -- the caller may name any message; `is true` keeps this from being looked up in an index
  where (s.user_id = (select auth.uid())) is true
$$;

comment on function private.siblings(public.messages) is
'{index (from 1), count, previous_id, next_id} of a message among those that follow the same one, in the order of their creation; null when it is the only one.';

grant execute on function private.siblings(public.messages) to authenticated;
