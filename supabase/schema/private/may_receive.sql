-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.may_receive(
  p_topic text
) returns boolean
language sql
stable
security invoker
set search_path = ''
as $$
  select case
    when p_topic = 'user:' || auth.uid()::text then true
    when p_topic ~ '^conversation:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then exists (
      select from public.conversations as c
      where c.id = substr(p_topic, char_length('conversation:') + 1)::uuid and c.user_id = auth.uid()
    )
    else false
  end
$$;

comment on function private.may_receive(text) is
'Whether the caller may join a Realtime topic: user:{their id}, or conversation:{id} of a conversation of theirs.';

grant execute on function private.may_receive(text) to authenticated;
