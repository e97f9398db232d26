-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.request_step(
  p_limit integer
) returns interval
language sql
immutable
security invoker
set search_path = ''
as $$ select make_interval(secs => greatest(1, floor(60000000.0 / p_limit)) / 1000000) $$;

comment on function private.request_step(integer) is
'The time in which one request of p_limit a minute is regained.';
