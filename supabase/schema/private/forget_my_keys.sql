-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.forget_my_keys() returns void
language sql
security definer
set search_path = ''
as $$ delete from private.personal_keys as k where k.user_id = auth.uid() $$;

comment on function private.forget_my_keys() is
'Revokes all keys of the caller.';

grant execute on function private.forget_my_keys() to authenticated;
