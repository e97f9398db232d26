-- Before the code: it calls these functions. The release before writes no completions.
create function private.begin_completion(
  p_user_id uuid,
  p_completion_id uuid,
  p_prompt_tokens integer,
  p_max_tokens integer,
  p_offer jsonb
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_live_completions constant integer := 100;

  v_limits private.limits;
  v_held private.reservations;
  v_models jsonb;
  v_admitted jsonb;
begin
  -- one after the other with the user's turns: budget, minute and the number of completions are counted without a race
  perform pg_advisory_xact_lock(hashtextextended(p_user_id::text, 0));
  v_limits := private.limits_of(p_user_id);

  -- the same call once more, because its answer was lost on the way: nothing is charged twice
  select * into v_held from private.reservations as r
  where r.reply_id = p_completion_id and r.user_id = p_user_id and r.completion;
  if found then
    return jsonb_build_object(
      'models', private.turn_models(v_limits, p_offer, null),
      'output_tokens', nullif(v_held.output_tokens, 131072)
    );
  end if;

  perform private.require_premium(v_limits);
  if (
    select count(*) from private.reservations as r
    where r.user_id = p_user_id and r.completion and r.expires_at > clock_timestamp()
  ) >= c_live_completions then
    raise exception using errcode = 'PT429', message = 'rate_limited', hint = '5',
      detail = format('At most %s completions of a user are written at once.', c_live_completions);
  end if;
  perform private.require_budget(p_user_id, v_limits);
  v_models := private.turn_models(v_limits, p_offer, null);
  v_admitted := private.admit_turn(
    p_user_id, p_completion_id, v_limits, p_prompt_tokens, 0,
    private.output_reserve(p_max_tokens, v_limits.tokens_per_minute), p_max_tokens is null, v_models,
    clock_timestamp() + private.lease()
  );
  update private.reservations as r set completion = true where r.reply_id = p_completion_id;
  return v_admitted || jsonb_build_object('models', v_models);
end;
$$;

comment on function private.begin_completion(uuid, uuid, integer, integer, jsonb) is
'See public.begin_completion.';

create function public.begin_completion(
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

create function public.renew_completions(
  p_completions jsonb
) returns boolean
language plpgsql
security invoker
set search_path = ''
as $$
begin
  -- in the order of private.settle: calls that come to wait for each other's rows lose a second
  perform from private.reservations as v
  where v.reply_id in (select c.id from jsonb_to_recordset(p_completions) as c (id uuid))
  order by v.reply_id
  for update;
  update private.reservations as v
  set
    calls = c.calls,
    -- a prompt that is sent again is paid again: then more is held than at the beginning
    prompt_tokens = greatest(v.prompt_tokens, private.prompt_tokens_of(c.calls)),
    expires_at = clock_timestamp() + private.lease()
  from jsonb_to_recordset(p_completions) as c (id uuid, calls jsonb)
  where v.reply_id = c.id and v.completion;
  return true;
end;
$$;

comment on function public.renew_completions(jsonb) is
'Renews what is held for the completions [{id, calls}] that a process writes, and keeps the calls that were made so far, as private.settle takes them. For the service.';

create function public.finish_completions(
  p_completions jsonb
) returns boolean
language plpgsql
security invoker
set search_path = ''
as $$
begin
  -- before they are settled, which releases what is held: a repeated call adds nothing
  insert into private.moderation_audit (message_id, user_id, part, categories)
  select c.id, c.user_id, c.flagged_part, c.flagged
  from jsonb_to_recordset(p_completions) as c (id uuid, user_id uuid, flagged text[], flagged_part text)
  join private.reservations as v on v.reply_id = c.id and v.completion
  where c.flagged is not null;
  perform private.settle(p_completions);
  return true;
end;
$$;

comment on function public.finish_completions(jsonb) is
'Charges completions [{id, user_id, calls, flagged, flagged_part}], calls as private.settle takes them, and releases what is held for them. flagged are the categories for which moderation refused the input or the output; then the operator''s audit has a row, without text. A repeated call changes nothing. For the service.';

create function public.completion_models(
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

revoke all on function private.begin_completion(uuid, uuid, integer, integer, jsonb)
from public, anon, authenticated, service_role;
revoke all on function public.begin_completion(uuid, uuid, integer, integer, jsonb)
from public, anon, authenticated, service_role;
revoke all on function public.renew_completions(jsonb) from public, anon, authenticated, service_role;
revoke all on function public.finish_completions(jsonb) from public, anon, authenticated, service_role;
revoke all on function public.completion_models(uuid, jsonb) from public, anon, authenticated, service_role;
grant execute on function private.begin_completion(uuid, uuid, integer, integer, jsonb) to service_role;
grant execute on function public.begin_completion(uuid, uuid, integer, integer, jsonb) to service_role;
grant execute on function public.renew_completions(jsonb) to service_role;
grant execute on function public.finish_completions(jsonb) to service_role;
grant execute on function public.completion_models(uuid, jsonb) to service_role;
grant execute on function private.allowed_models(private.limits, jsonb) to service_role;
