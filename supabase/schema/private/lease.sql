-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.lease() returns interval
language sql
immutable
security invoker
set search_path = ''
as $$ select interval '15 seconds' $$;

comment on function private.lease() is
'How long a reply may go without a journal write before it counts as interrupted. Writers renew twice a second.';

grant execute on function private.lease() to service_role;
