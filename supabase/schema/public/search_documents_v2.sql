-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.search_documents_v2(
  p_text text,
  p_questions jsonb,
  p_count integer,
  p_filter jsonb,
  p_hybrid boolean
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
begin
  perform private.charge_search('lookup', 6);
  return private.find_answers(p_text, p_questions, p_count, p_filter, p_hybrid);
end;
$$;

comment on function public.search_documents_v2(text, jsonb, integer, jsonb, boolean) is
'What the API searches with: the same question by several models, [{model, embedding, threshold}], in one view of the data, so that no document is missed that is just moved between them. A question whose embedding is null, of a text without words to the model, finds words only. Returns {models: those that the passages have, answers: the passages that each question finds, none where no passage has its model}. Six calls are allowed for each request a minute. Errors as those of match_embeddings.';

grant execute on function public.search_documents_v2(text, jsonb, integer, jsonb, boolean) to authenticated;
