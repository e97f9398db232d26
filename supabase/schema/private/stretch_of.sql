-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.stretch_of(
  p_user_id uuid,
  p_stretch bigint
) returns text
language sql
immutable
parallel safe
security invoker
set search_path = ''
as $$
  select left(encode(uuid_send(p_user_id), 'base64'), 6) || p_stretch || ':'
$$;

comment on function private.stretch_of(uuid, bigint) is
'What the words of a stretch of a user''s texts begin with. Two users may share it: user_id must be compared, too.';
