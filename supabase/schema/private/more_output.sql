-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.more_output(
  p_limits private.limits,
  p_most bigint,
  p_least bigint,
  p_tokens bigint,
  p_requests bigint
) returns bigint
language sql
immutable
security invoker
set search_path = ''
as $$
  select floor(least(
    p_most, greatest(0, p_tokens - least(1000, p_requests) * p_least - p_limits.tokens_per_minute / 4) / 2
  ))::bigint
$$;

comment on function private.more_output(private.limits, bigint, bigint, bigint, bigint) is
'What a reply of unknown length may have beside the least, at most p_most: half of what is left of the p_tokens of a minute when each of its further p_requests takes p_least too and a quarter of the limit stays free for prompts that grow.';
