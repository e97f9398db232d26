-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.models_by_name(
  p_limits private.limits,
  p_models jsonb
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(jsonb_agg(n.model), '[]')
  from (
    select to_jsonb(p) as model
    from private.model_prices as p
    where jsonb_path_exists(p_models, '$[*] ? (@.provider == $provider)', to_jsonb(p))
    union all
    -- an entry without a model is any of its provider's
    select o.model || jsonb_build_object('model', substr(l.name, length(o.model ->> 'provider') + 2))
    from jsonb_array_elements(p_models) as o (model)
    cross join unnest(p_limits.models) as l (name)
    where
      o.model ->> 'model' is null
      and starts_with(l.name, (o.model ->> 'provider') || '/')
      and l.name <> (o.model ->> 'provider') || '/*'
  ) as n
$$;

comment on function private.models_by_name(private.limits, jsonb) is
'Models of the providers of p_models [{provider, model, …}] that only a name here tells of: those that the operator gave a price, and those of the plan''s list whose provider has any model.';
