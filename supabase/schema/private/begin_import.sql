-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.begin_import(
  p_conversations integer
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_user_id constant uuid := auth.uid();
  v_import private.imports;
begin
  if v_user_id is null then
    raise exception using errcode = 'PT401', message = 'unauthenticated', detail = 'A signed-in user is required.';
  end if;
  perform pg_advisory_xact_lock(hashtextextended(v_user_id::text, 0));
  if exists (
    select from private.imports as i
    where i.user_id = v_user_id and i.status = 'running' and i.updated_at > now() - interval '60 seconds'
  ) then
    raise exception using errcode = 'PT409', message = 'conflict', detail = 'Another import of yours is running.';
  end if;
  -- the last 20 are remembered
  delete from private.imports as i
  where i.id in (
    select o.id from private.imports as o where o.user_id = v_user_id order by o.created_at desc offset 19
  );
  insert into private.imports (user_id, conversations) values (v_user_id, p_conversations) returning * into v_import;
  return to_jsonb(v_import);
end;
$$;

comment on function private.begin_import(integer) is
'See public.begin_import.';

grant execute on function private.begin_import(integer) to authenticated;
