-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.found_in_stretch(
  p_user_id uuid,
  p_stretch bigint,
  p_terms private.search_term[],
  p_rare private.search_term
) returns private.found_text[]
language plpgsql
stable
security definer
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = 'off'
as $$
declare
  -- as long a time as a text has to be newer to come before one that has whole words of the query, not just beginnings
  c_weight constant double precision := extract(epoch from interval '90 days');

  v_start text := private.stretch_of(p_user_id, p_stretch);
  v_asked tsquery := private.stretch_query(v_start, p_terms, true);
  v_whole tsquery := private.stretch_query(v_start, p_terms, false);
  v_sought tsquery := coalesce(private.stretch_query(v_start, array[p_rare], true), v_asked);
  v_runs text[];
  v_found private.found_text[];
begin
  -- pairs do not say in which order they stand
  select array_agg(t.letters) into v_runs from unnest(p_terms) as t where t.unspaced and char_length(t.letters) > 2;

  select array_agg((f.ordinal, f.message_id, f.conversation_id, f.score)::private.found_text) into v_found
  from (
    -- of a text with several pieces, one
    select distinct on (t.message_id, t.conversation_id)
      t.ordinal,
      t.message_id,
      t.conversation_id,
      extract(epoch from t.written_at)::double precision / c_weight
      + (t.words @@ v_whole)::integer
      + (t.conversation_id is not null)::integer
      -- the same words say more of a short text
      - 0.2 * ln(1 + length(t.words)) as score
    from (select * from private.searched_texts as s where s.words @@ v_sought offset 0) as t
    where t.user_id = p_user_id and (p_rare is null or t.words @@ v_asked)
    order by t.message_id, t.conversation_id, t.id
  ) as f
  where
    v_runs is null
    or (
      select bool_and(
        -- most texts have them as they were written
        strpos(o.content, r.letters) > 0 or strpos(private.plain_search(o.content, ''), r.letters) > 0
      )
      from (
        select coalesce(
          (select m.content from public.messages as m where m.id = f.message_id),
          (select c.title from public.conversations as c where c.id = f.conversation_id)
        ) as content
      ) as o
      cross join unnest(v_runs) as r (letters)
    );
  return coalesce(v_found, '{}');
end;
$$;

comment on function private.found_in_stretch(uuid, bigint, private.search_term[], private.search_term) is
'The texts of a stretch of a user''s that have all terms, in no order. They are sought by p_rare, which few texts have, else by all terms. score grows with the time that the text was written at, so it does not change with the time that it is asked for.';
