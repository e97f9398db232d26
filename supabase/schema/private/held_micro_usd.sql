-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.held_micro_usd(
  p_user_id uuid
) returns bigint
language sql
stable
security invoker
set search_path = ''
as $$
  select (
    coalesce((select sum(r.cost_micro_usd) from private.reservations as r where r.user_id = p_user_id), 0)
    + coalesce((select sum(j.cost_micro_usd) from private.index_jobs as j where j.user_id = p_user_id), 0)
  )::bigint
$$;

comment on function private.held_micro_usd(uuid) is
'What is held of a user''s budget for what has begun.';
