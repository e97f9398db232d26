-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.my_keys() returns jsonb
language sql
stable
security definer
set search_path = ''
as $$ select private.list_keys(auth.uid()) $$;

comment on function private.my_keys() is
'See public.my_keys.';

grant execute on function private.my_keys() to authenticated;
