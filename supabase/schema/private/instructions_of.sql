-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.instructions_of(
  p_conversation public.conversations
) returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(
    p_conversation.instructions,
    (select s.instructions from public.user_settings as s where s.user_id = p_conversation.user_id)
  )
$$;

comment on function private.instructions_of(public.conversations) is
'The instructions of a conversation''s turns: its own, else its user''s default, else null.';
