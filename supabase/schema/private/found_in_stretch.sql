-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.found_in_stretch(
  p_user_id uuid,
  p_stretch bigint,
  p_terms private.search_term[]
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
  v_asked tsquery;
  v_whole tsquery;
  v_runs text[];
  v_found private.found_text[];
begin
  with lexemes as (
    -- one letter of an unspaced script begins pairs; one of another script is a word
    select
      left(t.letters, 40) as word,
      case when t.unspaced then char_length(t.letters) = 1 else char_length(t.letters) > 1 end as begins
    from unnest(p_terms) as t
    where not t.unspaced or char_length(t.letters) = 1
    union
    select substr(t.letters, s.start, 2), false
    from unnest(p_terms) as t
    cross join lateral generate_series(1, char_length(t.letters) - 1) as s (start)
    where t.unspaced
  )
  select
    string_agg(quote_literal(v_start || l.word) || case when l.begins then ':*' else '' end, ' & ')::tsquery,
    string_agg(quote_literal(v_start || l.word), ' & ')::tsquery
  into v_asked, v_whole
  from lexemes as l;
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
    from (select * from private.searched_texts as s where s.words @@ v_asked offset 0) as t
    where t.user_id = p_user_id
    order by t.message_id, t.conversation_id, t.id
  ) as f
  where
    v_runs is null
    or (
      select bool_and(strpos(o.plain, r.letters) > 0)
      from (
        select private.plain_search(coalesce(
          (select m.content from public.messages as m where m.id = f.message_id),
          (select c.title from public.conversations as c where c.id = f.conversation_id)
        ), '') as plain
      ) as o
      cross join unnest(v_runs) as r (letters)
    );
  return coalesce(v_found, '{}');
end;
$$;

comment on function private.found_in_stretch(uuid, bigint, private.search_term[]) is
'The texts of a stretch of a user''s that have all terms, in no order. score grows with the time that the text was written at, so it does not change with the time that it is asked for.';
