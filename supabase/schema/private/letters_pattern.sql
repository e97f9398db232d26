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
  c_most constant integer := 4;

  v_pattern text := '';
  v_tail text := '';
  v_place integer := 1;
  v_sign record;
  v_begun text;
begin
  while v_place <= char_length(p_letters) loop
    -- the last letters may be the first ones of such a sign: `gros` finds groß
    if char_length(p_letters) > 1 and char_length(p_letters) - v_place < c_most - 1 then
      select string_agg(v.variants, '') into v_begun
      from private.letter_variants as v
      where starts_with(v.folded, substr(p_letters, v_place)) and v.folded <> substr(p_letters, v_place);
      if v_begun is not null then
        v_pattern := v_pattern || '(?:';
        v_tail := format('|[%s])', v_begun) || v_tail;
      end if;
    end if;
    -- signs that stand for several letters, such as ﬃ and Ⅷ
    select char_length(v.folded) as letters, v.variants into v_sign
    from generate_series(2, least(c_most, char_length(p_letters) - v_place + 1)) as n (letters)
    join private.letter_variants as v on v.folded = substr(p_letters, v_place, n.letters)
    order by n.letters desc
    limit 1;
    if found then
      v_pattern := v_pattern || format(
        '(?:%s|[%s])%s',
        (
          select string_agg(private.letter_pattern(substr(p_letters, v_place + n.place, 1)), c_dropped order by n.place)
          from generate_series(0, v_sign.letters - 1) as n (place)
        ),
        v_sign.variants, c_dropped
      );
      v_place := v_place + v_sign.letters;
    else
      v_pattern := v_pattern || private.letter_pattern(substr(p_letters, v_place, 1)) || c_dropped;
      v_place := v_place + 1;
    end if;
  end loop;
  return v_pattern || v_tail;
end;
$$;

comment on function private.letters_pattern(text) is
'A regular expression for folded letters in a text that is not folded.';
