-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.my_models(
  p_models jsonb
) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$ select private.allowed_models(private.limits_of(auth.uid()), p_models) $$;

comment on function private.my_models(jsonb) is
'See public.my_models.';

grant execute on function private.my_models(jsonb) to authenticated;
