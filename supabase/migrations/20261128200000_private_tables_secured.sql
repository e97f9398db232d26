-- Before the code: row level security on every private table, for its owner too. Nobody who works now is stopped: the
-- functions run as postgres and the service as service_role, which both pass it. It is a second lock behind the grants:
-- one that is given by mistake shows nobody a row.
set local lock_timeout = '2s';

do $$
declare
  v_table regclass;
begin
  for v_table in
    select c.oid
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'private' and c.relkind in ('r', 'p')
    order by c.relname
  loop
    execute format('alter table %s enable row level security', v_table);
    execute format('alter table %s force row level security', v_table);
    -- a table without a policy looks like one whose policies were forgotten
    if not exists (select from pg_catalog.pg_policy as p where p.polrelid = v_table) then
      execute format(
        'create policy "Nobody reads or writes directly" on %s to authenticated using (false) with check (false)',
        v_table
      );
    end if;
  end loop;
end;
$$;
