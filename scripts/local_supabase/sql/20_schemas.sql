-- The schemas public and extensions, and what every role may use in them.

-- New projects (since October 2026) grant nothing on new tables of public to the API roles, so there are
-- no default privileges to lay here: a migration has to grant. Functions keep Postgres' own default,
-- execute for everyone, so a migration has to revoke.
grant usage on schema public to postgres, anon, authenticated, service_role;

create schema if not exists extensions authorization postgres;
grant usage on schema extensions to anon, authenticated, service_role;

-- Hosted, postgres may create any extension of the platform's list. Here it may create the trusted ones
-- itself; vector is not marked as trusted, so it is here before anybody asks:
-- `create extension if not exists vector with schema extensions` then finds it.
create extension if not exists vector with schema extensions;

-- Tells the Data API that its picture of the schema is out of date, as the platform does.
create or replace function extensions.notify_api_of_ddl() returns event_trigger
language plpgsql
set search_path = ''
as $$
begin
  notify pgrst, 'reload schema';
end
$$;

do $$
begin
  if not exists (select from pg_catalog.pg_event_trigger where evtname = 'notify_api_of_ddl') then
    create event trigger notify_api_of_ddl on ddl_command_end
    execute function extensions.notify_api_of_ddl();
    create event trigger notify_api_of_drop on sql_drop
    execute function extensions.notify_api_of_ddl();
  end if;
  -- clients subscribe to row changes of the tables in this publication
  if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
    alter publication supabase_realtime owner to postgres;
  end if;
end
$$;
