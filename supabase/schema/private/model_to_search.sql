-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.model_to_search(
  p_model text
) returns text
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_models text[];
begin
  if p_model is not null and exists (
    select from private.passage_counts as c
    where c.user_id = auth.uid() and c.embedding_model = p_model and c.passages > 0
  ) then
    return p_model;
  end if;
  v_models := public.passage_models();
  if p_model is not null and v_models <> '{}' then
    raise exception using errcode = '22023',
      message = format('none of your passages has the embedding model %s; they have %s', p_model, array_to_string(v_models, ', '));
  end if;
  if cardinality(v_models) > 1 then
    raise exception using errcode = '22023',
      message = format('your passages have several embedding models: %s', array_to_string(v_models, ', ')),
      hint = 'Search once for each, with embedding_model and a vector that it made.';
  end if;
  return v_models[1];
end;
$$;

comment on function private.model_to_search(text) is
'p_model, or where that is null the one model of the caller''s passages; null when the caller has none. Error 22023, naming the models, when they have several, or p_model is none of them.';

grant execute on function private.model_to_search(text) to authenticated;
