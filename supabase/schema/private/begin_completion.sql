-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.begin_completion(
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

grant execute on function private.begin_completion(uuid, uuid, integer, integer, jsonb) to service_role;
