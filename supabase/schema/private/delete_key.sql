-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.delete_key(
  p_key_id uuid
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_key private.personal_keys;
begin
  delete from private.personal_keys as k where k.id = p_key_id returning * into v_key;
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such key.';
  end if;
  return private.key_view(v_key);
end;
$$;

comment on function private.delete_key(uuid) is
'See public.admin_revoke_key.';

grant execute on function private.delete_key(uuid) to service_role;
