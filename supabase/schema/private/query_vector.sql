-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.query_vector(
  p_embedding extensions.vector
) returns extensions.vector
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  -- of public.embeddings.embedding; the type of an argument does not hold callers to it
  c_dimensions constant integer := 1536;
begin
  if p_embedding is null then
    raise exception using errcode = '22004', message = 'query_embedding must not be null';
  end if;
  if extensions.vector_dims(p_embedding) <> c_dimensions then
    raise exception using
      -- that of pgvector's own refusal
      errcode = '22000',
      message = format(
        'query_embedding has %s dimensions, passages have %s', extensions.vector_dims(p_embedding), c_dimensions
      ),
      hint = 'Vectors of models with fewer are stored with zeros at their end: add these to the query too.';
  end if;
  if extensions.vector_norm(p_embedding) = 0 then
    raise exception using errcode = '22023', message = 'query_embedding has no direction: all its numbers are 0';
  end if;
  -- the cosine does not know lengths, but the squares of very large or small numbers leave the range of its type
  return extensions.l2_normalize(p_embedding);
end;
$$;

comment on function private.query_vector(extensions.vector) is
'The vector at length 1. Errors: 22004, 22000 for another width, 22023 without a direction.';

grant execute on function private.query_vector(extensions.vector) to authenticated;
