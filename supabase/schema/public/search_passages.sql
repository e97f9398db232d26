-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.search_passages(
  query_text text,
  query_embedding extensions.vector,
  match_threshold double precision default 0.7,
  match_count integer default 5,
  filter jsonb default '{}'::jsonb,
  embedding_model text default null
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
security invoker
set search_path = ''
as $$
begin
  perform private.charge_search('search', 1);
  return query select * from private.find_passages(
    search_passages.query_text, search_passages.query_embedding, search_passages.match_threshold,
    search_passages.match_count, search_passages.filter, search_passages.embedding_model
  );
end;
$$;

comment on function public.search_passages(text, extensions.vector, double precision, integer, jsonb, text) is
'Passages of the caller''s documents, best first, by reciprocal rank fusion of two lists: those that match_embeddings returns, and those with words of query_text, whatever their similarity. Arguments, charge and errors as those of match_embeddings.';

grant execute on function public.search_passages(text, extensions.vector, double precision, integer, jsonb, text) to authenticated;
