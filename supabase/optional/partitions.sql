-- Optional, for tables of tens of millions of rows: partitions of public.messages and public.embeddings by their owner.
-- docs/scaling.md says who needs it, what it costs and how long it takes. Run it with psql on the direct connection:
--
--   psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f supabase/optional/partitions.sql
--
-- Needs Postgres 17 and room for a second copy of both tables. While a table is copied it is read as before, and writes
-- to it wait. A table that has partitions is left alone, so the file can be run again. It is one transaction for each
-- table: stopped in the middle, it has changed nothing of the table that it was at.

-- whoever runs it: what is made belongs to whom the tables belong to
do $$
begin
  execute format(
    'set role %I', (select c.relowner::regrole::text from pg_catalog.pg_class as c where c.oid = 'public.messages'::regclass)
  );
end
$$;

set search_path = '';
set statement_timeout = 0;
set lock_timeout = 0;
-- raise it for the indexes, when there is memory: 4 KB for each passage of a partition
set maintenance_work_mem = '512MB';

create function pg_temp.with_owner(p_columns smallint[], p_table oid)
returns text
language sql
as $$
  -- names of the columns, and the owner's, by which the partitions are divided
  select string_agg(quote_ident(a.attname), ', ' order by k.nth)
    || case when bool_or(a.attname = 'user_id') then '' else ', user_id' end
  from unnest(p_columns) with ordinality as k (attnum, nth)
  join pg_catalog.pg_attribute as a on a.attrelid = p_table and a.attnum = k.attnum
$$;

create function pg_temp.reference(p_constraint pg_catalog.pg_constraint, p_target text)
returns text
language sql
as $$
  -- a foreign key to the table, with the owner in it
  select format(
    'foreign key (%s) references %s (%s)%s',
    pg_temp.with_owner(p_constraint.conkey, p_constraint.conrelid), p_target,
    pg_temp.with_owner(p_constraint.confkey, p_constraint.confrelid),
    substring(pg_catalog.pg_get_constraintdef(p_constraint.oid) from '( ON DELETE .*|( NOT)? DEFERRABLE.*)$')
  )
$$;

create procedure pg_temp.partition_by_owner(p_name text, p_partitions integer)
language plpgsql
as $$
declare
  v_old oid := ('public.' || p_name)::regclass;
  v_table text := 'public.' || p_name;
  v_new text := 'public.' || p_name || '_divided';
  v_kind "char" := (select c.relkind from pg_catalog.pg_class as c where c.oid = v_old);
  v_options text;
  v_columns text;
  v_last bigint;
  v_serial text;
  v_rows bigint;
  v_do text;
  -- what is done to the copy before the tables are swapped, and after that
  v_before text[] := '{}';
  v_first text[] := '{}';
  v_after text[] := '{}';
  v_check text[] := '{}';
  v_part record;
  v_started timestamptz := clock_timestamp();
begin
  if v_kind = 'p' then
    raise notice '% has partitions already', v_table;
    return;
  end if;
  -- reading goes on; writing waits until the end
  execute format('lock table %s in share row exclusive mode', v_table);

  for v_part in
    select c.*, pg_get_constraintdef(c.oid) as definition from pg_catalog.pg_constraint as c
    where c.conrelid = v_old and c.contype in ('p', 'u', 'f')
    order by c.contype desc
  loop
    v_do := case
      when v_part.contype = 'f' and v_part.confrelid = v_old then
        (select pg_temp.reference(c, v_new) from pg_catalog.pg_constraint as c where c.oid = v_part.oid)
      when v_part.contype = 'f' then v_part.definition
      else format(
        '%s (%s)', case v_part.contype when 'p' then 'primary key' else 'unique' end,
        pg_temp.with_owner(v_part.conkey, v_old)
      )
    end;
    -- an index's name may be taken only once
    v_before := v_before || array[
      format('alter table %s add constraint %I %s', v_new, left(v_part.conname, 61) || '_', v_do)
    ];
    v_after := v_after || format(
      'alter table %s rename constraint %I to %I', v_table, left(v_part.conname, 61) || '_', v_part.conname
    );
  end loop;

  for v_part in
    select c.relname, pg_get_indexdef(i.indexrelid) as definition
    from pg_catalog.pg_index as i
    join pg_catalog.pg_class as c on c.oid = i.indexrelid
    where
      i.indrelid = v_old
      and not exists (select from pg_catalog.pg_constraint as k where k.conindid = i.indexrelid and k.conrelid = v_old)
  loop
    v_before := v_before || replace(
      replace(v_part.definition, format(' ON %s ', v_table), format(' ON %s ', v_new)),
      format(' INDEX %I ', v_part.relname), format(' INDEX %I ', left(v_part.relname, 61) || '_')
    );
    v_after := v_after || format(
      'alter index public.%I rename to %I', left(v_part.relname, 61) || '_', v_part.relname
    );
  end loop;

  for v_part in
    select c.*, c.conrelid::regclass::text as referring from pg_catalog.pg_constraint as c
    where c.confrelid = v_old and c.contype = 'f' and c.conrelid <> v_old
  loop
    if not exists (
      select from pg_catalog.pg_attribute as a
      where a.attrelid = v_part.conrelid and a.attname = 'user_id' and not a.attisdropped
    ) then
      raise exception '% refers to % without a column user_id', v_part.referring, v_table;
    end if;
    v_first := v_first || format('alter table %s drop constraint %I', v_part.referring, v_part.conname);
    v_after := v_after || format(
      'alter table %s add constraint %I %s not valid', v_part.referring, v_part.conname,
      (select pg_temp.reference(c, v_table) from pg_catalog.pg_constraint as c where c.oid = v_part.oid)
    );
    v_check := v_check || format(
      'alter table %s validate constraint %I', v_part.referring, v_part.conname
    );
  end loop;

  for v_part in
    select t.tgname, pg_get_triggerdef(t.oid) as definition from pg_catalog.pg_trigger as t
    where t.tgrelid = v_old and not t.tgisinternal
  loop
    v_after := v_after || v_part.definition;
  end loop;

  for v_part in
    select
      format(
        'create policy %I on %s as %s for %s to %s%s%s', p.policyname, v_table, p.permissive, p.cmd,
        (select string_agg(quote_ident(r), ', ') from unnest(p.roles) as r),
        ' using (' || p.qual || ')', ' with check (' || p.with_check || ')'
      ) as definition,
      format('comment on policy %I on %s is %L', p.policyname, v_table, obj_description(o.oid, 'pg_policy')) as said
    from pg_catalog.pg_policies as p
    join pg_catalog.pg_policy as o on o.polrelid = v_old and o.polname = p.policyname
    where p.schemaname = 'public' and p.tablename = p_name
  loop
    v_after := v_after || array[v_part.definition, v_part.said];
  end loop;

  for v_part in
    select
      format('grant %s%s on %s to %s', g.privilege_type, g.columns, v_table, g.grantee::regrole) as definition
    from (
      select x.privilege_type, x.grantee, '' as columns
      from pg_catalog.pg_class as c, aclexplode(c.relacl) as x
      where c.oid = v_old and x.grantee <> c.relowner and x.grantee <> 0
      union all
      select x.privilege_type, x.grantee, format(' (%I)', a.attname)
      from pg_catalog.pg_attribute as a, aclexplode(a.attacl) as x
      where a.attrelid = v_old and x.grantee <> 0
    ) as g
  loop
    v_after := v_after || v_part.definition;
  end loop;

  -- functions that take or return a row: their type goes with the old table
  for v_part in
    select
      p.oid::regprocedure::text as signature, pg_get_functiondef(p.oid) as definition,
      obj_description(p.oid, 'pg_proc') as said,
      array(
        select format('grant execute on function %s to %s', p.oid::regprocedure, x.grantee::regrole)
        from aclexplode(p.proacl) as x where x.grantee <> p.proowner and x.grantee <> 0
      ) as grants
    from pg_catalog.pg_proc as p
    where exists (
      select from pg_catalog.pg_class as c
      join pg_catalog.pg_type as t on t.oid = c.reltype
      where c.oid = v_old and (t.oid = any(p.proargtypes) or t.oid = p.prorettype or t.typarray = p.prorettype)
    )
  loop
    v_first := v_first || format('drop function %s', v_part.signature);
    v_after := v_after || array[
      v_part.definition,
      format('revoke all on function %s from public, anon, authenticated, service_role', v_part.signature),
      format('comment on function %s is %L', v_part.signature, v_part.said)
    ] || v_part.grants;
  end loop;

  select ' with (' || array_to_string(c.reloptions, ', ') || ')' into v_options
  from pg_catalog.pg_class as c where c.oid = v_old;
  execute format(
    'create table %s (like %s including defaults including constraints including generated including identity '
    'including storage including compression including statistics including comments) partition by hash (user_id)',
    v_new, v_table
  );
  -- not exposed by the Data API: rows are reached through the table, whose policies hold then
  for v_part in
    select format('private.%I', p_name || '_' || lpad(n::text, 2, '0')) as name, n from generate_series(0, p_partitions - 1) as n
  loop
    execute format(
      'create table %s partition of %s for values with (modulus %s, remainder %s)%s',
      v_part.name, v_new, p_partitions, v_part.n, v_options
    );
    execute format('alter table %s enable row level security', v_part.name);
    execute format('alter table %s force row level security', v_part.name);
    execute format(
      'create policy "Nobody reads or writes directly" on %s for all to authenticated using (false) with check (false)',
      v_part.name
    );
    execute format('revoke all on table %s from public, anon, authenticated, service_role', v_part.name);
  end loop;

  select string_agg(quote_ident(a.attname), ', ' order by a.attnum) into v_columns
  from pg_catalog.pg_attribute as a
  where a.attrelid = v_old and a.attnum > 0 and not a.attisdropped and a.attgenerated = '';
  execute format(
    'insert into %s (%s) overriding system value select %s from %s', v_new, v_columns, v_columns, v_table
  );
  get diagnostics v_rows = row_count;
  raise notice '%: % rows copied after %', v_table, v_rows, clock_timestamp() - v_started;
  foreach v_do in array v_before loop
    execute v_do;
  end loop;
  execute format('analyze %s', v_new);
  raise notice '%: indexes after %', v_table, clock_timestamp() - v_started;

  -- from here on reading waits too, for some milliseconds
  execute format('lock table %s in access exclusive mode', v_table);
  for v_part in
    select a.attname from pg_catalog.pg_attribute as a where a.attrelid = v_old and a.attidentity <> ''
  loop
    v_serial := pg_get_serial_sequence(v_table, v_part.attname);
    execute format('select last_value from %s', v_serial) into v_last;
    v_after := array[
      format('select setval(pg_get_serial_sequence(%L, %L), %s)', v_table, v_part.attname, v_last),
      format(
        'alter sequence %s rename to %I', pg_get_serial_sequence(v_new, v_part.attname), split_part(v_serial, '.', 2)
      )
    ] || v_after;
  end loop;
  v_after := array[
    format('drop table %s', v_table), format('alter table %s rename to %I', v_new, p_name)
  ] || v_after || array[
    format('comment on table %s is %L', v_table, obj_description(v_old, 'pg_class')),
    format('alter table %s enable row level security', v_table),
    format('alter table %s force row level security', v_table)
  ];
  execute format('revoke all on table %s from public, anon, authenticated, service_role', v_new);
  foreach v_do in array v_first || v_after loop
    if v_do is not null then
      execute v_do;
    end if;
  end loop;
  -- sessions keep plans and row types of what they have called: a function that is replaced is read anew
  for v_part in
    select pg_get_functiondef(p.oid) as definition
    from pg_catalog.pg_proc as p
    where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace) and strpos(p.prosrc, v_table) > 0
  loop
    execute v_part.definition;
  end loop;
  foreach v_do in array v_check loop
    execute v_do;
  end loop;
  raise notice '%: % partitions after %', v_table, p_partitions, clock_timestamp() - v_started;
end;
$$;

begin;
-- the only table whose rows do not name their owner
alter table private.long_texts add column if not exists user_id uuid;

create or replace function private.own_long_text() returns trigger
language plpgsql
security definer
set search_path = ''
as $body$
begin
  select m.user_id into new.user_id from public.messages as m where m.id = new.message_id;
  return new;
end;
$body$;

comment on function private.own_long_text() is
'Trigger of a database with partitions: names the owner of a long text, by which its message is found.';
revoke all on function private.own_long_text() from public, anon, authenticated, service_role;

create or replace trigger long_texts_own
before insert on private.long_texts
for each row execute function private.own_long_text();

update private.long_texts as l
set user_id = m.user_id
from public.messages as m
where m.id = l.message_id and l.user_id is null;

call pg_temp.partition_by_owner('messages', 16);

-- The key has the owner in it now. That nobody takes an id that somebody else's message has is checked here: a caller of
-- begin_turn names the reply's id, and the journal finds replies by it.
create or replace function private.refuse_taken_id() returns trigger
language plpgsql
security definer
set search_path = ''
as $body$
begin
  if exists (select from public.messages as m where m.id = new.id and m.user_id <> new.user_id) then
    raise unique_violation using
      message = 'duplicate key value violates unique constraint "messages_pkey"', constraint = 'messages_pkey';
  end if;
  return new;
end;
$body$;

comment on function private.refuse_taken_id() is
'Trigger of a database with partitions: a message''s id is unique, whoever its owner is.';
revoke all on function private.refuse_taken_id() from public, anon, authenticated, service_role;

create or replace trigger messages_refuse_taken_id
before insert on public.messages
for each row execute function private.refuse_taken_id();
commit;

begin;
call pg_temp.partition_by_owner('embeddings', 64);
commit;

-- Planned once for a session, and not for each call: a plan looks at every part, which takes longer than what it finds.
-- Run this file again after an upgrade: a function that a migration replaces has lost its setting.
do $$
declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid
    from pg_catalog.pg_proc as p
    where
      p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
      and (strpos(p.prosrc, 'public.messages') > 0 or strpos(p.prosrc, 'public.embeddings') > 0)
  loop
    execute format('alter function %s set plan_cache_mode = %L', v_function, 'force_generic_plan');
  end loop;
end
$$;

notify pgrst, 'reload schema';
