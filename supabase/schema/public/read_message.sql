-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.read_message(
  p_message_id uuid
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select to_jsonb(m) || jsonb_build_object('siblings', private.siblings(m))
  from public.messages as m
  where m.id = p_message_id
$$;

comment on function public.read_message(uuid) is
'A message of the caller with its siblings {index, count, previous_id, next_id} or null. Null when there is no such message.';

grant execute on function public.read_message(uuid) to authenticated;
