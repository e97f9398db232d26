-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.require_model(
  p_limits private.limits,
  p_offer jsonb
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_named constant integer := 20;

  v_allowed constant jsonb := private.allowed_models(p_limits, p_offer -> 'models');
  v_all constant jsonb := (p_offer -> 'models') || coalesce(p_offer -> 'others', '[]');
  v_whatever_price private.limits := p_limits;
  v_named text;
  v_unpriced text;
begin
  if jsonb_path_exists(v_allowed, '$[*] ? (@.named == true)') then
    return v_allowed;
  end if;
  select m.provider || '/' || m.model into v_named
  from jsonb_to_recordset(p_offer -> 'models') as m (provider text, model text, named boolean)
  where m.named
  limit 1;
  -- the one that is named cannot answer now: another one does
  if v_named is null and v_allowed <> '[]' then
    return v_allowed;
  end if;
  v_whatever_price.monthly_budget_micro_usd := null;
  select m.provider || '/' || m.model into v_unpriced
  from jsonb_to_recordset(
    private.allowed_models(
      v_whatever_price,
      (select jsonb_agg(o.model || '{"known": true}') from jsonb_array_elements(p_offer -> 'models') as o (model))
    )
  ) as m (provider text, model text, named boolean)
  where m.named or v_named is null
  limit 1;
  raise exception using errcode = 'PT422', message = 'invalid_request', detail = format(
    'model: the plan %s does not allow %s%s. Available: %s.%s',
    p_limits.plan,
    case when v_named is null then 'any model that can answer now' else coalesce(v_unpriced, v_named) end,
    case
      when v_unpriced is null then ''
      else case when v_named is null then ': ' || v_unpriced else ', which' end || ' has no known price'
    end
    || case when v_unpriced is not null and p_limits.monthly_budget_micro_usd is not null
      then ', which a plan with a budget needs' else '' end,
    coalesce(
      (
        select string_agg(a.name, ', ' order by a.place)
        from (
          select m.provider || '/' || coalesce(m.model, '*') as name, min(m.place) as place
          from rows from (
            jsonb_to_recordset(
              private.allowed_models(p_limits, v_all || private.models_by_name(p_limits, v_all))
            ) as (provider text, model text)
          ) with ordinality as m (provider, model, place)
          group by 1
          order by 2
          limit c_named
        ) as a
      ),
      'none'
    ),
    ' The operator sets a price: python -m app.admin price ' || v_unpriced || ' --input USD --output USD.'
  );
end;
$$;

comment on function private.require_model(private.limits, jsonb) is
'The models of an offer {models, others} that may answer under these limits, best first: see private.allowed_models. Refuses a turn that names a model which may not, or whose models all may not, and says which may.';
