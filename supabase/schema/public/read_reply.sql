-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.read_reply(
  p_message_id uuid,
  p_after integer
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'text', substr(m.content, p_after + 1),
    'message', to_jsonb(m) - 'content',
    'length', case when m.status <> 'streaming' then char_length(m.content) end
  )
  from public.messages as m
  where m.id = p_message_id and m.user_id = (select auth.uid()) and m.role = 'assistant'
$$;

comment on function public.read_reply(uuid, integer) is
'{text, message, length} of a reply of the caller: its text after the first p_after code points, its row without the text, and the length of the whole text once it has ended. Null when there is no such reply.';

grant execute on function public.read_reply(uuid, integer) to authenticated;
