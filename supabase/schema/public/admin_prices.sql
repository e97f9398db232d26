-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.admin_prices(
  p_provider text default null,
  p_model text default null,
  p_price jsonb default '{}'::jsonb
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
begin
  if (p_provider is null) <> (p_model is null) or (p_price <> '{}' and p_model is null) then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'A price needs a provider and a model.';
  end if;
  -- null takes a price away; the empty object only shows it
  if coalesce(p_price, 'null') = 'null' then
    delete from private.model_prices as p where p.provider = p_provider and p.model = p_model;
    if not found then
      raise exception using errcode = 'PT404', message = 'not_found',
        detail = format('%s/%s has no price of the operator''s.', p_provider, p_model);
    end if;
  elsif p_price <> '{}' then
    insert into private.model_prices as p (provider, model, input, cached, output)
    select p_provider, p_model, c.input, coalesce(c.cached, c.input), c.output
    from jsonb_to_record(p_price) as c (input bigint, cached bigint, output bigint)
    on conflict (provider, model) do update
    set input = excluded.input, cached = excluded.cached, output = excluded.output;
  end if;
  return coalesce(
    (
      select jsonb_agg(to_jsonb(p) order by p.provider, p.model)
      from private.model_prices as p
      where p_model is null or (p.provider = p_provider and p.model = p_model)
    ),
    '[]'
  );
end;
$$;

comment on function public.admin_prices(text, text, jsonb) is
'The operator''s prices, or that of one model: [{provider, model, input, cached, output}], in micro-dollars per million tokens. p_price {input, output, cached} sets it first; cached is input where it is not said. p_price null takes it away. For the service.';

grant execute on function public.admin_prices(text, text, jsonb) to service_role;
