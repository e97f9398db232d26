-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.lost_calls(
  p_held private.reservations,
  p_written integer,
  p_provider text,
  p_model text
) returns jsonb
language sql
immutable
security invoker
set search_path = ''
as $$
  select case
    when p_held.calls is not null then p_held.calls
    -- the process died before its first word: it had asked its first model, or was about to
    when p_held.first_model is not null then jsonb_build_array(jsonb_build_object(
      'provider', p_held.first_model ->> 'provider', 'model', p_held.first_model ->> 'model',
      'prompt_tokens', p_held.input_tokens, 'completion_tokens', 0, 'cached_tokens', 0,
      'cost_micro_usd', ceil(p_held.input_tokens * (p_held.first_model ->> 'input')::numeric / 1000000)::bigint
    ))
    -- a process of the release before, which tells its text alone
    when p_written > 0 then jsonb_build_array(jsonb_build_object(
      'provider', p_provider, 'model', p_model, 'prompt_tokens', coalesce(nullif(p_held.input_tokens, 0), p_held.prompt_tokens, 0),
      'completion_tokens', p_written, 'cached_tokens', 0
    ))
    else '[]'
  end
$$;

comment on function private.lost_calls(private.reservations, integer, text, text) is
'The calls of a reply whose process is gone, as private.settle takes them: those that the journal knew; before it knew any, the one that had begun; of a process that tells none, an estimate by the p_written tokens that are stored. A turn that nobody took up has none.';

grant execute on function private.lost_calls(private.reservations, integer, text, text) to service_role;
