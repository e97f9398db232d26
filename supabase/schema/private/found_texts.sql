-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.found_texts(
  p_query text,
  p_count integer,
  p_after text
) returns table (
  place integer,
  message_id uuid,
  conversation_id uuid,
  score double precision,
  cursor text
)
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  -- so many are ranked together; older ones come after them
  c_ranked constant integer := 200;

  v_user_id uuid := auth.uid();
  v_terms private.search_term[] := private.search_terms(p_query);
  v_after text[] := string_to_array(p_after, ' ');
  v_oldest bigint;
  v_stretch bigint;
  v_first bigint;
  v_last bigint;
  v_found private.found_text[];
  v_rare private.search_term;
  v_read integer := 0;
  v_count integer := 0;
  v_hit record;
begin
  select t.ordinal >> 11 into v_oldest from private.searched_texts as t
  where t.user_id = v_user_id order by t.ordinal limit 1;
  select t.ordinal >> 11 into v_stretch from private.searched_texts as t
  where t.user_id = v_user_id order by t.ordinal desc limit 1;
  if v_after is not null then
    v_stretch := least(v_stretch, v_after[1]::bigint);
  end if;

  while v_stretch >= v_oldest loop
    v_first := v_stretch;
    v_found := '{}';
    loop
      -- the first stretch is enough for words that are frequent together
      if cardinality(v_terms) > 1 and (v_read = 1 or v_rare is not null) then
        v_rare := private.rare_term(v_user_id, v_stretch, v_terms, v_rare);
      end if;
      v_read := v_read + 1;
      v_found := v_found || private.found_in_stretch(v_user_id, v_stretch, v_terms, v_rare);
      v_stretch := v_stretch - 1;
      exit when
        v_stretch < v_oldest
        -- a page begins in what was ranked together with the one before
        or case when v_after is null then cardinality(v_found) >= c_ranked else v_stretch < v_after[2]::bigint end;
    end loop;
    v_last := v_stretch + 1;
    for v_hit in
      select f.* from unnest(v_found) as f
      where v_after is null or (f.score, f.ordinal) < (v_after[3]::double precision, v_after[4]::bigint)
      order by f.score desc, f.ordinal desc
      limit p_count - v_count
    loop
      v_count := v_count + 1;
      place := v_count;
      message_id := v_hit.message_id;
      conversation_id := v_hit.conversation_id;
      score := v_hit.score;
      "cursor" := concat_ws(' ', v_first, v_last, v_hit.score, v_hit.ordinal);
      return next;
    end loop;
    exit when v_count >= p_count;
    v_after := null;
  end loop;
end;
$$;

comment on function private.found_texts(text, integer, text) is
'The caller''s titles and messages that have all words of a query, the best first, after the one with the cursor p_after.';

grant execute on function private.found_texts(text, integer, text) to authenticated;
