-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.user_by_email(
  p_email text
) returns uuid
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_user_id uuid;
begin
  select u.id into v_user_id from auth.users as u where u.email = lower(trim(p_email));
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No user has this e-mail address.';
  end if;
  return v_user_id;
end;
$$;

comment on function private.user_by_email(text) is
'The id of the user with this e-mail address, or not_found. For the service.';

grant execute on function private.user_by_email(text) to service_role;
