-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.revoke_key(
  p_key_id uuid
) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
  delete from private.personal_keys as k where k.id = p_key_id and k.user_id = auth.uid();
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such key.';
  end if;
  return true;
end;
$$;

comment on function private.revoke_key(uuid) is
'See public.revoke_key.';

grant execute on function private.revoke_key(uuid) to authenticated;
