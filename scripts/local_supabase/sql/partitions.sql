-- The daily partitions of realtime.messages: yesterday to three days ahead exist, and what is
-- older than the three days a message is kept is dropped. Run at every start and once an hour after it.

do $$
declare
  day date;
  old regclass;
begin
  for day in
    select (current_date + ahead)::date
    from generate_series(-1, 3) as ahead
  loop
    execute format(
      'create table if not exists realtime.%I partition of realtime.messages for values from (%L) to (%L)',
      'messages_' || to_char(day, 'YYYY_MM_DD'), day, day + 1
    );
  end loop;
  for old in
    select child.oid
    from pg_catalog.pg_inherits as link
    join pg_catalog.pg_class as child on child.oid = link.inhrelid
    where link.inhparent = 'realtime.messages'::regclass
      and child.relname < 'messages_' || to_char(current_date - 3, 'YYYY_MM_DD')
  loop
    execute format('drop table %s', old);
  end loop;
end
$$;
