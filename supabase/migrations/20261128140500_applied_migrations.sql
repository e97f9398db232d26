-- What the API asks at its start and for its readiness: one call that only the secret key may make, and that tells
-- whether the schema is as new as the code.
-- Before the code: it calls a new function, which the release before does not know of.
create function private.applied_migrations() returns text[]
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  -- made by the Supabase CLI; a project whose migrations were run in another way has none
  if to_regclass('supabase_migrations.schema_migrations') is null then
    return null;
  end if;
  return (select array_agg(m.version order by m.version) from supabase_migrations.schema_migrations as m);
end;
$$;

comment on function private.applied_migrations() is 'See public.applied_migrations.';

create function public.applied_migrations() returns text[]
language sql
stable
security invoker
set search_path = ''
as $$ select private.applied_migrations() $$;

comment on function public.applied_migrations() is
'The versions of the migrations that the Supabase CLI has applied, Parley''s and others; null where it keeps no record. '
'For the service.';

revoke all on function private.applied_migrations() from public, anon, authenticated;
revoke all on function public.applied_migrations() from public, anon, authenticated;
grant execute on function private.applied_migrations() to service_role;
grant execute on function public.applied_migrations() to service_role;
