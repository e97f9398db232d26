-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.forget_my_imports() returns void
language sql
security definer
set search_path = ''
as $$ delete from private.imports as i where i.user_id = auth.uid() $$;

comment on function private.forget_my_imports() is
'Ends and forgets the imports of the caller.';

grant execute on function private.forget_my_imports() to authenticated;
