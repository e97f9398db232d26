-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.running_import(
  p_import_id uuid
) returns private.imports
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_import private.imports;
begin
  select * into v_import from private.imports as i where i.id = p_import_id and i.status = 'running' for update;
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such import is running.';
  end if;
  -- not while a turn begins, a branch is switched or everything is deleted
  perform pg_advisory_xact_lock(hashtextextended(v_import.user_id::text, 0));
  return v_import;
end;
$$;

comment on function private.running_import(uuid) is
'Locks an import that is running, and its user.';
