-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.admin_models(
  p_plan text,
  p_models jsonb default '[]'::jsonb
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_models text[];
begin
  perform private.require_plan(p_plan);
  if coalesce(p_models, 'null') <> '[]' then
    select array_agg(m.name) into v_models
    from jsonb_array_elements_text(coalesce(nullif(p_models, 'null'), '[]')) as m (name);
    delete from private.plan_models as m where m.plan = p_plan;
    insert into private.plan_models (plan, models) select p_plan, v_models where v_models is not null;
  end if;
  return jsonb_build_object(
    'plan', p_plan, 'models', (select m.models from private.plan_models as m where m.plan = p_plan)
  );
end;
$$;

comment on function public.admin_models(text, jsonb) is
'The models that may answer the users of a plan: {plan, models}, each as model, provider/model or provider/*; models null: those of the catalog. p_models sets them first; null takes the plan''s own list away. For the service.';

grant execute on function public.admin_models(text, jsonb) to service_role;
