-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.begin_embeddings(
  p_user_id uuid,
  p_request_id uuid,
  p_tokens integer,
  p_model jsonb
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.begin_embeddings(p_user_id, p_request_id, p_tokens, p_model) $$;

comment on function public.begin_embeddings(uuid, uuid, integer, jsonb) is
'Admits a request of this user for the vectors of p_tokens of text by p_model, {provider, model, input: the price}: charges one request of the same meter as turns, counts the tokens for a minute, and holds the cost under p_request_id until charge_usage. Returns {quotas: {requests, tokens}}; a repeated call is charged once and has no quotas. Errors: PT403 premium_required, PT402 budget_exceeded, PT413 payload_too_large, PT429 rate_limited. For the service, which has checked who the user is.';

grant execute on function public.begin_embeddings(uuid, uuid, integer, jsonb) to service_role;
