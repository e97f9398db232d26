-- Before data.sql is restored into a new project (docs/deploy.md, backups): takes away the rows that the migrations have written,
-- which data.sql has too. Refuses a project that has users.
do $$
begin
  if exists (select from auth.users) then
    raise exception 'this project has users: restore into a new project, with nothing but the migrations';
  end if;
  execute (
    select 'truncate ' || string_agg(format('%I.%I', t.schemaname, t.tablename), ', ')
    from pg_catalog.pg_tables as t
    where t.schemaname in ('public', 'private')
  );
end;
$$;
