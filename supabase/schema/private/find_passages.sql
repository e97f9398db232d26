-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.find_passages(
  query_text text,
  query_embedding extensions.vector,
  match_threshold double precision,
  match_count integer,
  filter jsonb,
  embedding_model text
) returns table (
  id uuid,
  document_id uuid,
  title text,
  content text,
  metadata jsonb,
  similarity double precision,
  score double precision
)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_query extensions.vector := private.query_vector(find_passages.query_embedding);
  v_threshold double precision := coalesce(find_passages.match_threshold, 0.7);
  v_count integer := least(coalesce(find_passages.match_count, 5), 200);
  v_filter jsonb := coalesce(nullif(find_passages.filter, 'null'), '{}');
  v_model text;
begin
  if find_passages.query_text is null then
    raise exception using errcode = '22004', message = 'query_text must not be null';
  end if;
  perform private.check_search(v_threshold, v_count, v_filter);
  v_model := private.model_to_search(find_passages.embedding_model);
  if v_model is not null then
    return query select * from private.hybrid_passages(
      find_passages.query_text, v_query, v_threshold, v_count, v_filter, v_model
    );
  end if;
end;
$$;

comment on function private.find_passages(text, extensions.vector, double precision, integer, jsonb, text) is
'See public.search_passages, which charges for it.';

grant execute on function private.find_passages(text, extensions.vector, double precision, integer, jsonb, text) to authenticated;
