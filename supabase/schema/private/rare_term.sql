-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.rare_term(
  p_user_id uuid,
  p_stretch bigint,
  p_terms private.search_term[],
  p_last private.search_term
) returns private.search_term
language plpgsql
stable
security definer
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = 'off'
as $$
declare
  -- reading so many texts takes less time than collecting those of a frequent word
  c_few constant integer := 16;
  c_tried constant integer := 4;

  v_start text := private.stretch_of(p_user_id, p_stretch);
  v_term private.search_term;
  v_asked tsquery;
begin
  foreach v_term in array case
    when p_last is not null then array[p_last]
    -- long words are rare ones, mostly
    else array(select t from unnest(p_terms) as t order by char_length(t.letters) desc limit c_tried)
  end loop
    v_asked := private.stretch_query(v_start, array[v_term], true);
    perform from private.searched_texts as s where s.words @@ v_asked offset c_few limit 1;
    if not found then
      return v_term;
    end if;
  end loop;
  return null;
end;
$$;

comment on function private.rare_term(uuid, bigint, private.search_term[], private.search_term) is
'A term of a query that at most 16 texts of a stretch have: p_last, or one of the longest; null when these have more.';
