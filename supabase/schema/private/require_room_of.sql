-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.require_room_of(
  p_user_id uuid,
  p_kind text
) returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_most constant bigint := private.most_of(p_user_id, p_kind);
begin
  if (select s.amount from private.stored as s where s.user_id = p_user_id and s.kind = p_kind) > v_most then
    raise exception using errcode = 'PT403', message = 'limit_reached', detail = format(
      'This plan holds at most %s %s of a user; delete some, or take another plan.', v_most, p_kind
    );
  end if;
end;
$$;

comment on function private.require_room_of(uuid, text) is
'As private.require_room, for what the service writes for a user.';
