-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.letters_pattern(
  p_letters text
) returns text
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  -- what folding takes away may stand behind each letter
  c_dropped constant text := format('[%s%s\u3099\u309a\uff9e\uff9f]*', private.without_width(), private.accents());

  v_pattern text := '';
  v_place integer := 1;
  v_both text;
begin
  while v_place <= char_length(p_letters) loop
    select v.variants into v_both from private.letter_variants as v where v.folded = substr(p_letters, v_place, 2);
    if char_length(substr(p_letters, v_place, 2)) = 2 and v_both is not null then
      v_pattern := v_pattern || format(
        '(?:%s%s%s|[%s])%s',
        private.letter_pattern(substr(p_letters, v_place, 1)), c_dropped,
        private.letter_pattern(substr(p_letters, v_place + 1, 1)), v_both, c_dropped
      );
      v_place := v_place + 2;
    else
      v_pattern := v_pattern || private.letter_pattern(substr(p_letters, v_place, 1)) || c_dropped;
      v_place := v_place + 1;
    end if;
  end loop;
  return v_pattern;
end;
$$;

comment on function private.letters_pattern(text) is
'A regular expression for folded letters in a text that is not folded.';
