-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.begin_title(
  p_conversation_id uuid,
  p_user_id uuid,
  p_title_id uuid,
  p_models jsonb,
  p_prompt_tokens integer,
  p_output_tokens integer
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select private.begin_title(
    p_conversation_id, p_user_id, p_title_id, p_models, p_prompt_tokens, p_output_tokens
  )
$$;

comment on function public.begin_title(uuid, uuid, uuid, jsonb, integer, integer) is
'Whether a conversation of this user is to be given a title: {models}, those of p_models that the plan allows, as private.allowed_models says them, the three cheapest for so many tokens, the cheapest first; null where it has a title, is gone, or is being given one. Their cost is held under p_title_id until finish_title, or until the lease runs out: then the call is charged by its estimate. Errors: PT403 premium_required, PT402 budget_exceeded. For the service.';

grant execute on function public.begin_title(uuid, uuid, uuid, jsonb, integer, integer) to service_role;
