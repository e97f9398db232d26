-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.begin_title(
  p_conversation_id uuid,
  p_user_id uuid,
  p_title_id uuid,
  p_models jsonb,
  p_prompt_tokens integer,
  p_output_tokens integer
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_models constant integer := 3;

  v_limits private.limits;
  v_models jsonb;
begin
  -- one after the other with the user's turns: the budget is judged, and the conversation claimed, without a race
  perform pg_advisory_xact_lock(hashtextextended(p_user_id::text, 0));
  if not exists (
    select from public.conversations as c
    where c.id = p_conversation_id and c.user_id = p_user_id and c.title is null
  ) or exists (
    select from private.reservations as r
    where
      r.user_id = p_user_id and r.title_of = p_conversation_id and r.reply_id <> p_title_id
      and r.expires_at > clock_timestamp()
  ) then
    return null;
  end if;
  v_limits := private.limits_of(p_user_id);
  perform private.require_premium(v_limits);
  -- the same call once more, because its answer was lost on the way: what it holds is held already
  if not exists (select from private.reservations as r where r.reply_id = p_title_id) then
    perform private.require_budget(p_user_id, v_limits);
  end if;

  select coalesce(jsonb_agg(m.model order by m.price nulls last, m.place), '[]') into v_models
  from (
    select a.model, a.place, l.price
    from jsonb_array_elements(private.allowed_models(v_limits, p_models)) with ordinality as a (model, place)
    cross join lateral (
      select p_prompt_tokens * (a.model ->> 'input')::numeric + p_output_tokens * (a.model ->> 'output')::numeric as price
    ) as l
    order by l.price nulls last, a.place
    limit c_models
  ) as m;
  if v_models <> '[]' then
    -- of a process that dies meanwhile this one call is charged
    insert into private.reservations (
      reply_id, user_id, prompt_tokens, output_tokens, expires_at, cost_micro_usd, title_of, calls
    )
    values (
      p_title_id, p_user_id, 0, 0, clock_timestamp() + private.lease(),
      private.most_expensive(v_models, p_prompt_tokens, p_output_tokens), p_conversation_id,
      jsonb_build_array(jsonb_build_object(
        'kind', 'title', 'provider', v_models #>> '{0,provider}', 'model', v_models #>> '{0,model}',
        'prompt_tokens', p_prompt_tokens, 'completion_tokens', 0, 'cached_tokens', 0,
        'cost_micro_usd', ceil(p_prompt_tokens * (v_models #>> '{0,input}')::numeric / 1000000)::bigint
      ))
    )
    on conflict (reply_id) do nothing;
  end if;
  return jsonb_build_object('models', v_models);
end;
$$;

comment on function private.begin_title(uuid, uuid, uuid, jsonb, integer, integer) is
'See public.begin_title.';

grant execute on function private.begin_title(uuid, uuid, uuid, jsonb, integer, integer) to service_role;
