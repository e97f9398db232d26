-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.retire_records(
  p_kind text,
  p_before timestamp with time zone,
  p_after text,
  p_dry_run boolean
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_rows constant integer := 2000;
  v_table text;
  v_key text;
  v_type text;
  v_time text;
  v_rows bigint;
  v_last text;
begin
  select r.relation, r.key, r.type, r.time into v_table, v_key, v_type, v_time
  from (
    values
    ('audit', 'moderation_audit', 'id', 'bigint', 'created_at'),
    ('imports', 'imports', 'id', 'uuid', 'updated_at'),
    ('keys', 'personal_keys', 'id', 'uuid', 'expires_at'),
    ('idempotency', 'idempotency_keys', 'message_id', 'uuid', 'created_at'),
    ('meters', 'meters', 'user_id', 'uuid', 'full_at')
  ) as r (kind, relation, key, type, time)
  where r.kind = p_kind;
  -- rows with one key are looked at together
  execute format(
    'select l.key::text from (select t.%1$I as key from private.%2$I as t where $1 is null or t.%1$I > $1::%3$s '
    'order by t.%1$I limit %4$s) as l order by l.key desc limit 1',
    v_key, v_table, v_type, c_rows
  ) into v_last using p_after;
  if v_last is null then
    return jsonb_build_object('rows', 0, 'next', null);
  end if;
  execute format(
    case when p_dry_run
      then 'select count(*) from private.%2$I as t where ($1 is null or t.%1$I > $1::%3$s) and t.%1$I <= $2::%3$s and t.%4$I < $3'
      else 'with gone as (delete from private.%2$I as t where ($1 is null or t.%1$I > $1::%3$s) and t.%1$I <= $2::%3$s '
        'and t.%4$I < $3 returning 1) select count(*) from gone'
    end,
    v_key, v_table, v_type, v_time
  ) into v_rows using p_after, v_last, p_before;
  return jsonb_build_object('rows', v_rows, 'next', v_last);
end;
$$;

comment on function private.retire_records(text, timestamp with time zone, text, boolean) is
'A step over the rows after p_after of a table that is small or has its key in order: those older than p_before are deleted.';

grant execute on function private.retire_records(text, timestamp with time zone, text, boolean) to service_role;
