-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.search_words(
  p_text text
) returns text[]
language plpgsql
immutable
parallel safe
security invoker
set search_path = ''
as $$
declare
  c_longest constant integer := 40;

  v_unspaced text := '[' || private.unspaced_letters(2) || private.unspaced_letters(3) || ']+';
  v_plain text := private.plain_search(p_text, '\2 ');
  v_words text[];
  v_pairs text[] := '{}';
begin
  if v_plain ~ v_unspaced then
    select coalesce(array_agg(distinct p.letter || coalesce(p.following, '')), '{}') into v_pairs
    from (
      select l.letter, lead(l.letter) over (partition by r.run order by l.place) as following
      from regexp_matches(v_plain, v_unspaced, 'g') with ordinality as r (letters, run)
      cross join lateral unnest(string_to_array(r.letters[1], null)) with ordinality as l (letter, place)
    ) as p;
    v_plain := regexp_replace(v_plain, v_unspaced, ' ', 'g');
  end if;
  select coalesce(array_agg(distinct left(w.word, c_longest)), '{}') into v_words
  from unnest(string_to_array(v_plain, ' ')) as w (word)
  where w.word <> '';
  return v_words || v_pairs;
end;
$$;

comment on function private.search_words(text) is
'The different words of a text, of which the first 40 letters count; of an unspaced script each pair of letters that stand side by side, and the last letter of a run.';
