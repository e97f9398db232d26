-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.require_room(
  p_kind text
) returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_user_id constant uuid := auth.uid();
  v_most bigint;
begin
  -- the service and the operator may exceed a user's limit
  if v_user_id is null then
    return;
  end if;
  v_most := private.most_of(v_user_id, p_kind);
  if (select s.amount from private.stored as s where s.user_id = v_user_id and s.kind = p_kind) > v_most then
    raise exception using errcode = 'PT403', message = 'limit_reached', detail = format(
      'This plan holds at most %s %s of a user; delete some, or take another plan.',
      v_most, case p_kind when 'document_bytes' then 'bytes of documents' else p_kind end
    );
  end if;
end;
$$;

comment on function private.require_room(text) is
'Refuses the caller who has more of a kind than they may, with limit_reached. Called after the new amount is counted: its row is locked, so that concurrent calls of one user cannot pass together.';
