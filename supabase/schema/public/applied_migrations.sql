-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.applied_migrations() returns text[]
language sql
stable
security invoker
set search_path = ''
as $$ select private.applied_migrations() $$;

comment on function public.applied_migrations() is
'The versions of the migrations that the Supabase CLI has applied, Parley''s and others; null where it keeps no record. For the service.';

grant execute on function public.applied_migrations() to service_role;
