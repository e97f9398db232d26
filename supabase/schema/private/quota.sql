-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.quota(
  p_limit integer,
  p_remaining integer,
  p_reset interval
) returns jsonb
language sql
immutable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'limit', p_limit,
    'remaining', greatest(0, p_remaining),
    'reset', greatest(0, ceil(extract(epoch from p_reset)))::integer
  )
$$;

comment on function private.quota(integer, integer, interval) is
'{limit, remaining, reset} of a limit a minute, as the API''s headers and GET /v1/usage show it; reset in whole seconds.';
