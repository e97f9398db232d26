-- Before the code: it calls these functions. The release before makes no embeddings for users.
create function private.begin_embeddings(
  p_user_id uuid,
  p_request_id uuid,
  p_tokens integer,
  p_model jsonb
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_window constant interval := interval '60 seconds';

  v_limits private.limits;
  v_price bigint;
  v_admitted jsonb;
begin
  perform pg_advisory_xact_lock(hashtextextended(p_user_id::text, 0));
  -- the same call once more, because its answer was lost on the way
  if exists (select from private.reservations as r where r.reply_id = p_request_id) then
    return jsonb_build_object('quotas', '{}'::jsonb);
  end if;
  v_limits := private.limits_of(p_user_id);
  perform private.require_premium(v_limits);
  perform private.require_budget(p_user_id, v_limits);
  v_price := coalesce(
    (
      select p.input from private.model_prices as p
      where p.provider = p_model ->> 'provider' and p.model = p_model ->> 'model'
    ),
    (p_model ->> 'input')::bigint, 0
  );
  v_admitted := private.admit_turn(
    p_user_id, p_request_id, v_limits, p_tokens, 0, 0, false,
    jsonb_build_array(jsonb_build_object('input', v_price, 'output', 0)), clock_timestamp() + c_window
  );
  -- The cost is held until it is charged; of a process that dies meanwhile this one call is charged. The tokens are held
  -- for a minute whatever becomes of it, since those of embeddings in the ledger do not count for the minute.
  update private.reservations as r
  set
    prompt_tokens = 0,
    input_tokens = 0,
    calls = jsonb_build_array(jsonb_build_object(
      'kind', 'embedding', 'provider', p_model ->> 'provider', 'model', p_model ->> 'model',
      'prompt_tokens', p_tokens, 'completion_tokens', 0, 'cached_tokens', 0, 'cost_micro_usd', r.cost_micro_usd
    ))
  where r.reply_id = p_request_id;
  insert into private.reservations (reply_id, user_id, prompt_tokens, output_tokens, expires_at, input_tokens)
  values (gen_random_uuid(), p_user_id, p_tokens, 0, clock_timestamp() + c_window, 0);
  return jsonb_build_object('quotas', v_admitted -> 'quotas');
end;
$$;

comment on function private.begin_embeddings(uuid, uuid, integer, jsonb) is
'See public.begin_embeddings.';

create function public.begin_embeddings(
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

revoke all on function private.begin_embeddings(uuid, uuid, integer, jsonb)
from public, anon, authenticated, service_role;
revoke all on function public.begin_embeddings(uuid, uuid, integer, jsonb)
from public, anon, authenticated, service_role;
grant execute on function private.begin_embeddings(uuid, uuid, integer, jsonb) to service_role;
grant execute on function public.begin_embeddings(uuid, uuid, integer, jsonb) to service_role;
