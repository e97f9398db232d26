-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.require_fit(
  p_limits private.limits,
  p_input_tokens bigint,
  p_least bigint
) returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if p_input_tokens > p_limits.tokens_per_minute then
    raise exception using errcode = 'PT413', message = 'payload_too_large',
      detail = format('The message is about %s tokens; %s a minute are allowed.', p_input_tokens, p_limits.tokens_per_minute);
  end if;
  if p_least > p_limits.tokens_per_minute then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format(
        'max_tokens: the message and its reply may take %s tokens; %s a minute are allowed.',
        p_least, p_limits.tokens_per_minute
      );
  end if;
end;
$$;

comment on function private.require_fit(private.limits, bigint, bigint) is
'Refuses what no waiting would admit, as payload_too_large or invalid_request: a message of p_input_tokens, or a turn that takes p_least tokens.';
