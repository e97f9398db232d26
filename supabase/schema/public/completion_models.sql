-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.completion_models(
  p_user_id uuid,
  p_models jsonb
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$ select private.allowed_models(private.limits_of(p_user_id), p_models) $$;

comment on function public.completion_models(uuid, jsonb) is
'Those of the models that this user''s plan allows: public.my_models for the service, which has checked who the user is.';

grant execute on function public.completion_models(uuid, jsonb) to service_role;
