-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.begin_completion(
  p_user_id uuid,
  p_completion_id uuid,
  p_prompt_tokens integer,
  p_max_tokens integer,
  p_offer jsonb
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select private.begin_completion(p_user_id, p_completion_id, p_prompt_tokens, p_max_tokens, p_offer)
$$;

comment on function public.begin_completion(uuid, uuid, integer, integer, jsonb) is
'Admits a completion of this user, a reply outside of conversations of which nothing is stored: charges one request of the same meter as turns, and holds p_prompt_tokens, and p_max_tokens of reply, else as much as the minute has room for, and their cost, under p_completion_id. The caller renews what is held (renew_completions) until it is charged (finish_completions); if it does not, recover_replies charges the calls that are known. p_offer is that of begin_turn. Returns {models, output_tokens, quotas} as begin_turn does; a repeated call is charged once and has no quotas. Errors: PT403 premium_required, PT402 budget_exceeded, PT413 payload_too_large, PT422 invalid_request (model, max_tokens), PT429 rate_limited. For the service, which has checked who the user is.';

grant execute on function public.begin_completion(uuid, uuid, integer, integer, jsonb) to service_role;
