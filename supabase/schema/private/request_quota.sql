-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.request_quota(
  p_limit integer,
  p_full_at timestamp with time zone
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select private.quota(
    p_limit,
    floor((60 - extract(epoch from t.wait)) / extract(epoch from private.request_step(p_limit)))::integer,
    t.wait
  )
  from (select greatest(p_full_at - clock_timestamp(), interval '0') as wait) as t
$$;

comment on function private.request_quota(integer, timestamp with time zone) is
'private.quota of a request meter that is full at p_full_at.';
