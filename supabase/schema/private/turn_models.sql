-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.turn_models(
  p_limits private.limits,
  p_offer jsonb,
  p_preferred text
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_preferred jsonb := '[]';
begin
  if p_offer is null then
    return '[]';
  end if;
  if p_preferred is not null and not jsonb_path_exists(p_offer, '$.models[*] ? (@.named == true)') then
    v_preferred := private.preferred_model(p_limits, p_offer, p_preferred);
  end if;
  if v_preferred = '[]' then
    return private.require_model(p_limits, p_offer);
  end if;
  return v_preferred || private.allowed_models(p_limits, p_offer -> 'models');
end;
$$;

comment on function private.turn_models(private.limits, jsonb, text) is
'The models that may answer a turn, best first: the one that its conversation prefers, where the request names none, then those of the offer. Raises what private.require_model raises.';
