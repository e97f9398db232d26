-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.terms_pattern(
  p_terms private.search_term[]
) returns text
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  -- what a word is made of
  v_letter text := '[^' || private.between_words() || private.unspaced_letters(2) || private.unspaced_letters(3) || ']';
  v_runs text;
  v_words text;
  v_single text;
  v_signs text;
begin
  -- the longest first, since the first that matches is marked
  select string_agg(private.letters_pattern(t.letters), '|' order by char_length(t.letters) desc, t.letters) into v_runs
  from unnest(p_terms) as t where t.unspaced;
  select string_agg(private.letters_pattern(t.letters), '|' order by char_length(t.letters) desc, t.letters) into v_words
  from unnest(p_terms) as t where not t.unspaced and char_length(t.letters) > 1;
  select string_agg(private.letters_pattern(t.letters), '|') into v_single
  from unnest(p_terms) as t where not t.unspaced and char_length(t.letters) = 1;
  select string_agg(
    private.letter_pattern(left(t.letters, 1)) || case when t.letters ~ 'sharp$' then '#' else '\+\+' end, '|'
  ) into v_signs
  from unnest(p_terms) as t where t.letters ~ '^[a-z](plusplus|sharp)$';
  v_words := concat_ws('|', v_signs, v_words, '(?:' || v_single || ')(?!' || v_letter || ')');
  -- where a word begins; also after a script without blanks
  return concat_ws('|', v_runs, '(?<!' || v_letter || ')(?:' || nullif(v_words, '') || ')');
end;
$$;

comment on function private.terms_pattern(private.search_term[]) is
'A regular expression for any of the terms of a query in a text as it was written.';
