-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.allowed_models(
  p_limits private.limits,
  p_models jsonb
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(
    jsonb_agg(
      jsonb_build_object(
        'provider', m.provider, 'model', m.model, 'named', coalesce(m.named, false),
        'input', coalesce(p.input, m.input), 'cached', coalesce(p.cached, m.cached),
        'output', coalesce(p.output, m.output)
      )
      order by m.place
    ),
    '[]'
  )
  from rows from (
    jsonb_to_recordset(p_models) as (
      provider text, model text, known boolean, named boolean, input bigint, cached bigint, output bigint
    )
  ) with ordinality as m (provider, model, known, named, input, cached, output, place)
  left join private.model_prices as p on p.provider = m.provider and p.model = m.model
  where
    (p_limits.models is null or p_limits.models && array[m.model, m.provider || '/' || m.model, m.provider || '/*'])
    and (m.known or coalesce(p.input, m.input) is not null)
    -- what has no price would never use the budget up
    and (p_limits.monthly_budget_micro_usd is null or coalesce(p.input, m.input) is not null)
$$;

comment on function private.allowed_models(private.limits, jsonb) is
'Those of the models [{provider, model, known, named, input, cached, output}] that may answer under these limits, in the same order, each with the price that counts. known: the catalog or a setting names it.';

grant execute on function private.allowed_models(private.limits, jsonb) to service_role;
