-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.read_import(
  p_import_id uuid
) returns jsonb
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

comment on function private.read_import(uuid) is
'See public.read_import.';

grant execute on function private.read_import(uuid) to authenticated;
