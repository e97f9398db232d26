-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.configure_limits(
  p_require_premium boolean,
  p_requests_per_minute integer,
  p_tokens_per_minute integer,
  p_screen_input boolean,
  p_embeddings jsonb default null
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  update private.settings as s
  set
    require_premium = p_require_premium,
    requests_per_minute = p_requests_per_minute,
    tokens_per_minute = p_tokens_per_minute,
    screen_input = p_screen_input,
    embeddings = coalesce(p_embeddings, s.embeddings)
  where s.singleton
  returning to_jsonb(s) - 'singleton'
$$;

comment on function public.configure_limits(boolean, integer, integer, boolean, jsonb) is
'Sets the limits of every plan that names none of its own, and what documents are embedded with, {provider, model, input}. Called by the API at its start with its environment; the last one to start is obeyed. For the service.';

grant execute on function public.configure_limits(boolean, integer, integer, boolean, jsonb) to service_role;
