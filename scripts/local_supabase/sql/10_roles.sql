-- The roles of a hosted Supabase project, before its first migration.
-- Runs as supabase_admin, the superuser of the cluster. Passwords are set by the caller, never here.
-- Everything in this folder is one transaction and runs again only when its text has changed,
-- so each statement must also succeed on a database that already has the object.

do $$
declare
  wanted record;
begin
  for wanted in
    select *
    from (values
      -- what a browser gets with the publishable key, a user's token, the secret key
      ('anon', 'nologin noinherit'),
      ('authenticated', 'nologin noinherit'),
      ('service_role', 'nologin noinherit bypassrls'),
      -- the Data API logs in as authenticator, which can do nothing but become one of the three above
      ('authenticator', 'login noinherit'),
      -- owners of the platform's schemas
      ('supabase_auth_admin', 'login noinherit createrole'),
      ('supabase_realtime_admin', 'nologin noinherit'),
      -- the project owner's role: powerful, but no superuser
      ('postgres', 'login createrole createdb replication bypassrls')
    ) as roles (name, attributes)
  loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
      execute format('create role %I %s', wanted.name, wanted.attributes);
    end if;
  end loop;
end
$$;

grant anon to authenticator;
grant authenticated to authenticator;
grant service_role to authenticator;
grant anon to postgres with admin option;
grant authenticated to postgres with admin option;
grant service_role to postgres with admin option;
grant authenticator to postgres with admin option;
grant pg_monitor to postgres;
grant pg_read_all_data to postgres;
grant pg_signal_backend to postgres;
grant pg_create_subscription to postgres;
-- A hosted project lets postgres write policies on realtime.messages, which belongs to this role.
grant supabase_realtime_admin to postgres;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
-- service_role has no limit of its own, so it keeps the one of the session it is entered from
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role supabase_auth_admin set search_path = auth;
alter role supabase_auth_admin set idle_in_transaction_session_timeout = '60s';

alter database postgres owner to postgres;

-- as text, since the SQL formatter does not know these two forms
do $$
begin
  execute 'alter role authenticator set pgrst.db_schemas = ''public''';
  execute 'alter database postgres set search_path = "$user", public, extensions';
end
$$;
