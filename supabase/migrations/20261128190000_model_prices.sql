-- Before the code: it asks for the prices and the models of a plan. The release before knows neither.

-- Which models a plan's users may name, and what models cost that the catalog has no price of.
create table private.model_prices (
  provider text not null check (char_length(provider) between 1 and 100),
  model text not null check (char_length(model) between 1 and 100),
  input bigint not null check (input between 0 and 1000000000000),
  cached bigint not null check (cached between 0 and 1000000000000),
  output bigint not null check (output between 0 and 1000000000000),
  primary key (provider, model)
);

comment on table private.model_prices is
'The operator''s prices, in micro-dollars per million tokens; they go before the catalog''s. A model of the provider that '
'the catalog does not know may be named once it has one.';
comment on column private.model_prices.cached is 'Of the part of the prompt that the provider reads from its cache.';

create table private.plan_models (
  plan text primary key references private.plans (plan) on delete cascade,
  models text[] not null check (cardinality(models) between 1 and 200)
);

comment on table private.plan_models is
'The models that may answer the users of a plan, each as `model`, `provider/model` or `provider/*`. Of a plan without a '
'row: all that the catalog or a setting of the API names, those of providers that cost nothing, and those with a price in '
'private.model_prices.';

alter type private.limits add attribute models text[];

create or replace function private.limits_of(p_user_id uuid) returns private.limits
language sql
stable
security invoker
set search_path = ''
as $$
  select
    coalesce(p.plan, 'free'),
    not s.require_premium or coalesce(p.premium, false),
    coalesce(p.requests_per_minute, s.requests_per_minute),
    coalesce(p.tokens_per_minute, s.tokens_per_minute),
    p.monthly_budget_micro_usd,
    m.models
  from private.settings as s
  left join public.entitlements as e
    on e.user_id = p_user_id and (e.valid_until is null or e.valid_until > clock_timestamp())
  left join private.plans as p on p.plan = coalesce(e.plan, 'free')
  left join private.plan_models as m on m.plan = p.plan
$$;

create function private.allowed_models(p_limits private.limits, p_models jsonb) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(
    jsonb_agg(
      jsonb_build_object(
        'provider', m.provider, 'model', m.model, 'named', coalesce(m.named, false),
        'input', coalesce(p.input, m.input), 'cached', coalesce(p.cached, m.cached),
        'output', coalesce(p.output, m.output)
      )
      order by m.place
    ),
    '[]'
  )
  from rows from (
    jsonb_to_recordset(p_models) as (
      provider text, model text, known boolean, named boolean, input bigint, cached bigint, output bigint
    )
  ) with ordinality as m (provider, model, known, named, input, cached, output, place)
  left join private.model_prices as p on p.provider = m.provider and p.model = m.model
  where
    (p_limits.models is null or p_limits.models && array[m.model, m.provider || '/' || m.model, m.provider || '/*'])
    and (m.known or coalesce(p.input, m.input) is not null)
    -- what has no price would never use the budget up
    and (p_limits.monthly_budget_micro_usd is null or coalesce(p.input, m.input) is not null)
$$;

comment on function private.allowed_models(private.limits, jsonb) is
'Those of the models [{provider, model, known, named, input, cached, output}] that may answer under these limits, in the '
'same order, each with the price that counts. known: the catalog or a setting names it.';

create function private.most_expensive(p_models jsonb, p_prompt_tokens bigint, p_output_tokens bigint) returns bigint
language sql
immutable
security invoker
set search_path = ''
as $$
  select coalesce(ceil(max(p_prompt_tokens::numeric * m.input + p_output_tokens::numeric * m.output) / 1000000), 0)::bigint
  from jsonb_to_recordset(p_models) as m (input bigint, output bigint)
$$;

comment on function private.most_expensive(jsonb, bigint, bigint) is
'What so many tokens cost at most, in micro-dollars, whichever of the models answers.';

revoke all on table private.model_prices, private.plan_models from public, anon, authenticated, service_role;
grant select, insert, update, delete on table private.model_prices, private.plan_models to service_role;
revoke all on function private.allowed_models(private.limits, jsonb) from public, anon, authenticated, service_role;
revoke all on function private.most_expensive(jsonb, bigint, bigint) from public, anon, authenticated, service_role;
