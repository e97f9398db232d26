-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.my_keys() returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$ select private.my_keys() $$;

comment on function public.my_keys() is
'The keys of the caller, the newest first, without their hashes.';

grant execute on function public.my_keys() to authenticated;
