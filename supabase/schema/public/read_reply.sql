-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.read_reply(
  p_message_id uuid,
  p_after integer,
  p_reasoned integer default 0
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'text', substr(m.content, case when p_after < 2147483647 then p_after + 1 else p_after end),
    'reasoning', substr(m.reasoning, case when p_reasoned < 2147483647 then p_reasoned + 1 else p_reasoned end),
    'message', to_jsonb(m) - 'content' - 'reasoning',
    'length', case when m.status <> 'streaming' then char_length(m.content) end,
    'reasoned', case when m.status <> 'streaming' then char_length(m.reasoning) end
  )
  from public.messages as m
  where m.id = p_message_id and m.user_id = (select auth.uid()) and m.role = 'assistant'
$$;

comment on function public.read_reply(uuid, integer, integer) is
'{text, reasoning, message, length, reasoned} of a reply of the caller: its text after the first p_after code points, what was thought after the first p_reasoned, its row without both, and how long each is as a whole once the reply has ended. Null when there is no such reply.';

grant execute on function public.read_reply(uuid, integer, integer) to authenticated;
