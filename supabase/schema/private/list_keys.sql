-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.list_keys(
  p_user_id uuid
) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce(jsonb_agg(private.key_view(k) order by k.created_at desc, k.id), '[]')
  from private.personal_keys as k
  where k.user_id = p_user_id
$$;

comment on function private.list_keys(uuid) is
'The keys of this user, the newest first, as private.key_view shows them.';

grant execute on function private.list_keys(uuid) to service_role;
