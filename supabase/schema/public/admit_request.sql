-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.admit_request(
  p_kind text,
  p_charge boolean default true,
  p_query text default null
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.admit_request(p_kind, p_charge is distinct from false, p_query) $$;

comment on function public.admit_request(text, boolean, text) is
'Charges the caller one request of a kind (search, document, moderation) and returns {requests: {limit, remaining, reset}}; without p_charge it only tells whether one would be admitted, before work that is charged when it is done. With p_query, of a search, what its vectors cost at most is held of a budget until the charge with the id held of the answer, or a minute long; null: nothing had to be held. Errors: PT401 unauthenticated, PT403 premium_required and PT402 budget_exceeded (search, document), PT422 invalid_request, PT429 rate_limited.';

grant execute on function public.admit_request(text, boolean, text) to authenticated;
