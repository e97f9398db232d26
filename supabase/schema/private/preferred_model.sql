-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.preferred_model(
  p_limits private.limits,
  p_offer jsonb,
  p_model text
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select private.allowed_models(p_limits, coalesce(jsonb_agg(o.model), '[]'))
  from (
    -- an entry without a model is any of its provider's
    select m.model || jsonb_build_object('model', p_model) as model
    from jsonb_array_elements(coalesce(p_offer -> 'others', '[]')) as m (model)
    where coalesce(m.model ->> 'model', p_model) = p_model
    union all
    -- one that only the operator knows
    select to_jsonb(p)
    from private.model_prices as p
    where p.model = p_model and not jsonb_path_exists(
      p_offer, '$.others[*] ? (@.provider == $provider && @.model == $model)', to_jsonb(p)
    )
  ) as o
$$;

comment on function private.preferred_model(private.limits, jsonb, text) is
'The model that a conversation prefers, as the offer''s others and the operator''s prices know it, if it may answer.';
