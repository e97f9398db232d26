-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.most_expensive(
  p_models jsonb,
  p_prompt_tokens bigint,
  p_output_tokens bigint
) returns bigint
language sql
immutable
security invoker
set search_path = ''
as $$
  select coalesce(ceil(max(p_prompt_tokens::numeric * m.input + p_output_tokens::numeric * m.output) / 1000000), 0)::bigint
  from jsonb_to_recordset(p_models) as m (input bigint, output bigint)
$$;

comment on function private.most_expensive(jsonb, bigint, bigint) is
'What so many tokens cost at most, in micro-dollars, whichever of the models answers.';
