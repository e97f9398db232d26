-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.my_models(
  p_models jsonb
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$ select private.my_models(p_models) $$;

comment on function public.my_models(jsonb) is
'Those of the models [{provider, model, known, input, cached, output}] that the caller''s plan allows, with the prices that count: see private.allowed_models.';

grant execute on function public.my_models(jsonb) to authenticated;
