-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.query_cost(
  p_query text
) returns bigint
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(
    sum(ceil(
      -- a token is a byte at least, and a model puts a few around the text
      (octet_length(left(p_query, 8000)) + 16)::numeric * coalesce(
        (select max(p.input) from private.model_prices as p where p.model = m.name),
        (s.embeddings -> 'prices' ->> m.name)::bigint,
        case when s.embeddings ->> 'model' = m.name then (s.embeddings ->> 'input')::bigint end,
        0
      ) / 1000000
    )),
    0
  )::bigint
  from private.settings as s
  cross join unnest(public.passage_models()) as m (name)
$$;

comment on function private.query_cost(text) is
'What it costs at most to embed a question of the caller''s by all models that their passages have, in millionths of a dollar; 0 where the price is not known.';
