-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.read_branch(
  p_conversation_id uuid,
  p_before bigint default null,
  p_after bigint default null,
  p_before_id uuid default null,
  p_after_id uuid default null,
  p_backward boolean default false,
  p_limit integer default 50
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select private.read_branch(p_conversation_id, p_before, p_after, p_before_id, p_after_id, p_backward, p_limit)
$$;

comment on function public.read_branch(uuid, bigint, bigint, uuid, uuid, boolean, integer) is
'A page of the shown branch of the caller''s conversation, at most p_limit messages (50 by default, 1 to 200), each with its siblings {index, count, previous_id, next_id} or null: forward the first ones, backward the last ones, newest first, of those between p_after and p_before, which are positions or, with _id, messages. Before a message are those that lead to it, on whichever branch it is. Null when there is no such conversation. Error: PT422 invalid_request (no such message, p_limit).';

grant execute on function public.read_branch(uuid, bigint, bigint, uuid, uuid, boolean, integer) to authenticated;
