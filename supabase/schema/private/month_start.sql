-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.month_start() returns timestamp with time zone
language sql
stable
security invoker
set search_path = ''
as $$ select date_trunc('month', now(), 'UTC') $$;

comment on function private.month_start() is
'When the current budget month began.';

grant execute on function private.month_start() to service_role;
