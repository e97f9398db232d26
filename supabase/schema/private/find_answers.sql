-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.find_answers(
  p_text text,
  p_questions jsonb,
  p_count integer,
  p_filter jsonb,
  p_hybrid boolean
) returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  -- an API embeds with so many models at most
  c_questions constant integer := 16;

  v_filter jsonb := coalesce(p_filter, '{}');
  v_count integer := least(coalesce(p_count, 5), 200);
  v_question record;
  v_query extensions.vector;
  v_passages jsonb;
  v_answers jsonb := '[]';
begin
  if jsonb_typeof(p_questions) is distinct from 'array' or jsonb_array_length(p_questions) > c_questions then
    raise exception using errcode = '22023', message = format('p_questions must be an array of at most %s', c_questions);
  end if;
  for v_question in
    select q.model, q.embedding, q.threshold
    from jsonb_to_recordset(p_questions) as q (model text, embedding text, threshold double precision)
  loop
    if v_question.model is null or v_question.threshold is null then
      raise exception using errcode = '22004', message = 'every one of p_questions needs a model and a threshold';
    end if;
    perform private.check_search(v_question.threshold, v_count, v_filter);
    v_query := null;
    if v_question.embedding is not null then
      v_query := private.query_vector(v_question.embedding::extensions.vector);
    end if;
    v_passages := null;
    if p_hybrid then
      select jsonb_agg(to_jsonb(s) order by s.score desc, s.id) into v_passages
      from private.hybrid_passages(
        p_text, v_query, v_question.threshold, v_count, v_filter, v_question.model
      ) as s;
    elsif v_query is not null then
      select jsonb_agg(to_jsonb(m) order by m.similarity desc, m.id) into v_passages
      from private.similar_passages(v_query, v_question.threshold, v_count, v_filter, v_question.model) as m;
    end if;
    v_answers := v_answers || jsonb_build_array(coalesce(v_passages, '[]'));
  end loop;
  return jsonb_build_object('models', to_jsonb(public.passage_models()), 'answers', v_answers);
end;
$$;

comment on function private.find_answers(text, jsonb, integer, jsonb, boolean) is
'See public.search_documents_v2, which charges for it.';

grant execute on function private.find_answers(text, jsonb, integer, jsonb, boolean) to authenticated;
