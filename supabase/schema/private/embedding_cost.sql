-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.embedding_cost(
  p_tokens bigint
) returns bigint
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(ceil(p_tokens::numeric * coalesce(p.input, (s.embeddings ->> 'input')::bigint) / 1000000), 0)::bigint
  from private.settings as s
  left join private.model_prices as p
    on p.provider = s.embeddings ->> 'provider' and p.model = s.embeddings ->> 'model'
$$;

comment on function private.embedding_cost(bigint) is
'What the vectors of a text of so many tokens cost, in micro-dollars; 0 where the price is not known.';
