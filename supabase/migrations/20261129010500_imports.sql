-- Before the code: it imports files with these functions. The release before does not call them.
create table private.imports (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  status text not null default 'running' check (status in ('running', 'complete', 'failed')),
  conversations integer not null check (conversations >= 0),
  done integer not null default 0,
  added_conversations integer not null default 0,
  added_messages integer not null default 0,
  added_documents integer not null default 0,
  error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

comment on table private.imports is
'Files that users import, and how far that is. The file is in the memory of the process that took it.';
comment on column private.imports.done is 'How many of its conversations have been read into the database.';

create index imports_user_id_idx on private.imports (user_id, created_at desc);

alter table private.imports enable row level security;
alter table private.imports force row level security;

create policy "Owners read their imports" on private.imports
for select to authenticated using (user_id = (select auth.uid()));

revoke all on table private.imports from public, anon, authenticated, service_role;

create function private.read_import(p_import_id uuid) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select to_jsonb(i) || case
    -- its process is gone
    when i.status = 'running' and i.updated_at < now() - interval '60 seconds' then jsonb_build_object(
      'status', 'failed', 'error', 'The import was interrupted. Send the file again: what is there is not added twice.'
    )
    else '{}'
  end
  from private.imports as i
  where i.id = p_import_id and i.user_id = auth.uid()
$$;

create function private.begin_import(p_conversations integer) returns jsonb
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

create function public.begin_import(p_conversations integer) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.begin_import(p_conversations) $$;

create function public.read_import(p_import_id uuid) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$ select private.read_import(p_import_id) $$;

comment on function private.begin_import(integer) is 'See public.begin_import.';
comment on function private.read_import(uuid) is 'See public.read_import.';
comment on function public.begin_import(integer) is
'Begins an import of the caller with that many conversations, which the service then fills. Returns its row. Error: PT409 '
'conflict, while another one is running.';
comment on function public.read_import(uuid) is
'How far an import of the caller is. One that nothing was heard of for 60 seconds has failed. Null when there is no such import.';

revoke all on function private.begin_import(integer) from public, anon, authenticated, service_role;
revoke all on function private.read_import(uuid) from public, anon, authenticated, service_role;
revoke all on function public.begin_import(integer) from public, anon, authenticated, service_role;
revoke all on function public.read_import(uuid) from public, anon, authenticated, service_role;
grant execute on function private.begin_import(integer) to authenticated;
grant execute on function private.read_import(uuid) to authenticated;
grant execute on function public.begin_import(integer) to authenticated;
grant execute on function public.read_import(uuid) to authenticated;
