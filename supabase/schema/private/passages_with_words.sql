-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.passages_with_words(
  p_query text,
  p_count integer,
  p_filter jsonb,
  p_model text
) returns uuid[]
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  -- ranked at most, however common the words are
  c_ranked constant integer := 2000;

  v_user_id uuid := auth.uid();
  -- any of the words: a question hardly ever has all its words in the passage that answers it
  v_words tsquery := private.words_query(left(p_query, 2000));
  v_hidden bigint[] := private.unfinished_revisions(v_user_id);
  v_ids uuid[];
begin
  select array_agg(r.id order by r.rank desc, r.id) into v_ids
  from (
    select f.id, ts_rank_cd(f.fts, v_words, 1) as rank
    from (
      select e.id, e.fts
      from public.embeddings as e
      where
        e.user_id = v_user_id
        and e.fts @@ v_words
        and e.embedding_model = p_model
        and e.revision <> all(v_hidden)
        and (p_filter = '{}' or e.metadata @> p_filter)
      limit c_ranked
    ) as f
    order by rank desc, f.id
    limit p_count
  ) as r;
  return v_ids;
end;
$$;

comment on function private.passages_with_words(text, integer, jsonb, text) is
'The p_count passages of auth.uid() that have most of the words, best first.';

grant execute on function private.passages_with_words(text, integer, jsonb, text) to authenticated;
