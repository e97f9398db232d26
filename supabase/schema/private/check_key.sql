-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.check_key(
  p_hash text
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_key private.personal_keys;
begin
  select k.* into v_key
  from private.personal_keys as k
  join auth.users as u on u.id = k.user_id
  where
    k.hash = decode(p_hash, 'hex')
    and (k.expires_at is null or k.expires_at > now())
    and (u.banned_until is null or u.banned_until <= now())
    and u.deleted_at is null;
  if not found then
    return null;
  end if;
  if v_key.last_used_at is null or v_key.last_used_at < now() - interval '1 minute' then
    -- another replica that writes it at this moment writes the same
    update private.personal_keys as k set last_used_at = now()
    where k.id = (select o.id from private.personal_keys as o where o.id = v_key.id for no key update skip locked);
  end if;
  return jsonb_build_object('key_id', v_key.id, 'user_id', v_key.user_id, 'expires_at', extract(epoch from v_key.expires_at));
end;
$$;

comment on function private.check_key(text) is
'See public.check_key.';

grant execute on function private.check_key(text) to service_role;
