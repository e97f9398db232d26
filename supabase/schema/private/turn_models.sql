-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.turn_models(
  p_limits private.limits,
  p_offer jsonb,
  p_preferred text
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select case
    when p_offer is null then '[]'
    when p_preferred is null or jsonb_path_exists(p_offer, '$.models[*] ? (@.named == true)')
      then private.require_model(p_limits, p_offer)
    else private.require_model(p_limits, p_offer) || private.preferred_model(p_limits, p_offer, p_preferred)
  end
$$;

comment on function private.turn_models(private.limits, jsonb, text) is
'The models that may answer a turn, best first, then the one that its conversation prefers, where the request names none. Raises what private.require_model raises.';
