-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.index_lease() returns interval
language sql
immutable
security invoker
set search_path = ''
as $$ select interval '15 seconds' $$;

comment on function private.index_lease() is
'How long a document may go without a word of its indexer before another replica takes it over.';

grant execute on function private.index_lease() to service_role;
