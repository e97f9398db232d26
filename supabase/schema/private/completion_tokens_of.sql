-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.completion_tokens_of(
  p_calls jsonb
) returns integer
language sql
immutable
security invoker
set search_path = ''
as $$
  select coalesce(sum(c.completion_tokens), 0)::integer
  from jsonb_to_recordset(p_calls) as c (kind text, completion_tokens integer)
  where coalesce(c.kind, 'reply') = 'reply'
$$;

comment on function private.completion_tokens_of(jsonb) is
'How many tokens of output the calls for a reply had: see private.settle.';

grant execute on function private.completion_tokens_of(jsonb) to service_role;
