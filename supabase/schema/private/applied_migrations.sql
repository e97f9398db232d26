-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.applied_migrations() returns text[]
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

comment on function private.applied_migrations() is
'See public.applied_migrations.';

grant execute on function private.applied_migrations() to service_role;
