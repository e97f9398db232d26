-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.refuse(
  p_policy text,
  p_limit integer,
  p_wait interval
) returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_seconds constant integer := greatest(1, ceil(extract(epoch from p_wait)));
begin
  raise exception using errcode = 'PT429', message = 'rate_limited',
    detail = format('At most %s %s a minute; come back in %s s.', p_limit, p_policy, v_seconds),
    hint = jsonb_build_object('policy', p_policy, 'limit', p_limit, 'retry_after', v_seconds);
end;
$$;

comment on function private.refuse(text, integer, interval) is
'Raises rate_limited. The hint is JSON: {policy, limit, retry_after}; a request in retry_after seconds is admitted, unless another one was faster.';
