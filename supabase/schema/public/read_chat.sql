-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.read_chat(
  p_chat_id text,
  p_before bigint default null,
  p_limit integer default 50
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select coalesce(
    public.read_branch(
      private.chat_conversation(p_chat_id), p_before => p_before, p_backward => true, p_limit => p_limit
    ),
    '[]'
  )
$$;

comment on function public.read_chat(text, bigint, integer) is
'The last p_limit messages (50 by default, 1 to 200) of the shown branch of the caller''s chat, newest first, of those before the position p_before, as read_branch has them. None where there is no such chat. Error: PT422 invalid_request (p_limit).';

grant execute on function public.read_chat(text, bigint, integer) to authenticated;
