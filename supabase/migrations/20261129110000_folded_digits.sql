-- Before the code: nothing of it changes. Digits of all scripts are found by each other, letters with and without a nukta, and
-- versions with and without their v.
create function private.digits() returns text
language sql
immutable
parallel safe
set search_path = ''
as $$
  -- of those that normalization leaves as they are; each range is the digits from 0 to 9
  select
    '\u0660-\u0669\u06f0-\u06f9\u07c0-\u07c9\u0966-\u096f\u09e6-\u09ef\u0a66-\u0a6f\u0ae6-\u0aef\u0b66-\u0b6f\u0be6-\u0bef'
    || '\u0c66-\u0c6f\u0ce6-\u0cef\u0d66-\u0d6f\u0de6-\u0def\u0e50-\u0e59\u0ed0-\u0ed9\u0f20-\u0f29\u1040-\u1049\u1090-\u1099'
    || '\u17e0-\u17e9\u1810-\u1819\u1946-\u194f\u19d0-\u19d9\u1a80-\u1a89\u1a90-\u1a99\u1b50-\u1b59\u1bb0-\u1bb9\u1c40-\u1c49'
    || '\u1c50-\u1c59\ua620-\ua629\ua8d0-\ua8d9\ua900-\ua909\ua9d0-\ua9d9\ua9f0-\ua9f9\uaa50-\uaa59\uabf0-\uabf9'
    || '\U000104a0-\U000104a9\U00010d30-\U00010d39\U00011066-\U0001106f\U000110f0-\U000110f9\U00011136-\U0001113f'
    || '\U000111d0-\U000111d9\U000112f0-\U000112f9\U00011450-\U00011459\U000114d0-\U000114d9\U00011650-\U00011659'
    || '\U000116c0-\U000116c9\U00011730-\U00011739\U000118e0-\U000118e9\U00011950-\U00011959\U00011c50-\U00011c59'
    || '\U00011d50-\U00011d59\U00011da0-\U00011da9\U00016a60-\U00016a69\U00016ac0-\U00016ac9\U00016b50-\U00016b59'
    || '\U0001e140-\U0001e149\U0001e2f0-\U0001e2f9\U0001e950-\U0001e959'
$$;

comment on function private.digits() is
'Decimal digits beyond those of ASCII, as ranges of a regular expression.';

create function private.with_ascii_digits(p_text text) returns text
language plpgsql
immutable
parallel safe
set search_path = ''
as $$
declare
  v_found text;
  v_ascii text;
begin
  -- those that the text has: translating all of them would take a comparison with each for each letter
  select
    string_agg(f.digit, '' order by f.digit),
    string_agg((ascii(f.digit) - ascii(r.range[1]))::text, '' order by f.digit)
    into v_found, v_ascii
  from (
    select distinct m.digit[1] as digit
    from regexp_matches(p_text, '[' || private.digits() || ']', 'g') as m (digit)
  ) as f
  join (
    select regexp_matches(unistr(private.digits()), '(.)-(.)', 'g') as range
  ) as r on ascii(f.digit) between ascii(r.range[1]) and ascii(r.range[2]);
  return translate(p_text, v_found, v_ascii);
end;
$$;

comment on function private.with_ascii_digits(text) is
'The text with the digits of ASCII in the place of all others; for a text that has others.';

create or replace function private.accents() returns text
language sql
immutable
parallel safe
set search_path = ''
as $$
  -- accents, points and vowels of Hebrew and Arabic, tatweel; the nukta of Devanagari, Bengali, Gurmukhi, Gujarati, Odia, Kannada
  select
    '\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4'
    || '\u093c\u09bc\u0a3c\u0abc\u0b3c\u0cbc'
$$;

create or replace function private.folded(p_text text) returns text
language sql
immutable
parallel safe
set search_path = ''
as $$
  select normalize(
    regexp_replace(
      replace(replace(replace(replace(
        translate(
          case when p_text ~ ('[' || private.digits() || ']') then private.with_ascii_digits(t.small) else t.small end,
          'øłđðħıςىیک', 'olddhiσييك'
        ),
        'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
      '[' || private.accents() || ']+', '', 'g'
    ),
    nfc
  )
  from (select normalize(lower(p_text), nfkd) as small) as t
$$;

comment on function private.folded(text) is
'The text in small letters without accents and with the digits of ASCII, so that a word is found however it is written.';

create or replace function private.plain_search(p_text text, p_signs text) returns text
language plpgsql
immutable
parallel safe
set search_path = ''
as $$
declare
  v_between text := '[' || private.between_words() || ']+';
  v_text text := p_text;
  v_plain text;
begin
  -- names that are one letter and signs
  if v_text ~ '\+\+|#' then
    v_text := regexp_replace(v_text, '(^|[^A-Za-z0-9])([A-Za-z])\+\+', '\1' || p_signs || '\2plusplus ', 'g');
    v_text := regexp_replace(v_text, '(^|[^A-Za-z0-9])([A-Za-z])#', '\1' || p_signs || '\2sharp ', 'g');
  end if;
  -- the number of a version is a word, too, where the letter before a sign is
  if p_signs <> '' and v_text ~ '[vV][0-9]' then
    v_text := regexp_replace(v_text, '(^|[^A-Za-z0-9])([vV])([0-9]+)', '\1\2\3 \3', 'g');
  end if;
  v_text := regexp_replace(v_text, '[' || private.without_width() || ']+', '', 'g');
  v_plain := btrim(regexp_replace(lower(v_text), v_between, ' ', 'g'));
  -- most of the time goes into what follows, and nothing of ASCII can be folded further
  if octet_length(v_plain) > char_length(v_plain) then
    v_plain := btrim(regexp_replace(private.folded(private.plain_words(v_text)), v_between, ' ', 'g'));
  end if;
  return v_plain;
end;
$$;

comment on function private.plain_search(text, text) is
'The words of a text, folded, with one blank between them. C++ and C# are cplusplus and csharp; p_signs stands before these: \2 and a blank where the letter alone is to be a word, too. Then the 2 of v2 is one, too.';

-- What is marked: letters that are written in parts, and one sign for up to four letters.
create or replace function private.letter_pattern(p_letter text) returns text
language sql
stable
security definer
set search_path = ''
as $$
  select
    case
      when char_length(p.parts) = 1 or left(p.parts, 1) ~ '[\u3040-\u30ff]' then l.pattern
      -- a syllable of hangul without an end is no beginning of one with an end
      else format('(?:%s|%s%s)', l.pattern, p.parts, case when p_letter ~ '[\uac00-\ud7a3]' then '(?![\u11a8-\u11c2])' end)
    end
  from (select normalize(p_letter, nfd) as parts) as p
  cross join lateral (
    select format('[%s%s]', string_agg(o.letter, ''), string_agg(v.variants, '')) as pattern
    from (
      select p_letter as letter
      union
      -- the sound mark of a kana may be a character of its own
      select left(p.parts, 1) where left(p.parts, 1) ~ '[\u3040-\u30ff]'
    ) as o
    left join private.letter_variants as v on v.folded = o.letter
  ) as l
$$;

create or replace function private.letters_pattern(p_letters text) returns text
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

comment on table private.letter_variants is 'The single letters that private.folded makes into one letter or up to four.';

insert into private.letter_variants as v (folded, variants)
select f.folded, string_agg(f.letter, '' order by f.letter)
from (
  select chr(c.code) as letter, private.folded(private.plain_words(chr(c.code))) as folded
  from (
    -- digits
    select generate_series(ascii(r.range[1]), ascii(r.range[2])) as code
    from regexp_matches(unistr(private.digits()), '(.)-(.)', 'g') as r (range)
    union all
    -- letters with a nukta
    select unnest(array[2345, 2353, 2356, 2392, 2393, 2394, 2395, 2396, 2397, 2398, 2399, 2524, 2525, 2527])
    union all
    select unnest(array[2611, 2614, 2649, 2650, 2651, 2654, 2908, 2909])
  ) as c
  union all
  select chr(c.code), private.folded(private.plain_words(chr(c.code)))
  from (
    select generate_series(192, 13311) as code
    union all
    select generate_series(64256, 64262)
    union all
    select generate_series(127232, 127487)
  ) as c
  where char_length(private.folded(private.plain_words(chr(c.code)))) between 3 and 4
) as f
where f.letter <> f.folded and f.folded <> '' and f.folded !~ ('[' || private.between_words() || ']')
group by f.folded
on conflict (folded) do update set variants = v.variants || excluded.variants;

-- what was indexed before, of those that are found by other words now
insert into private.long_texts (message_id)
select distinct t.message_id
from private.searched_texts as t
join public.messages as m on m.id = t.message_id
where m.content ~ ('[' || private.digits() || '\u093c\u09bc\u0a3c\u0abc\u0b3c\u0cbc\u0958-\u095f\u09dc-\u09df]|[vV][0-9]')
on conflict do nothing;

revoke all on function private.digits() from public, anon, authenticated, service_role;
revoke all on function private.with_ascii_digits(text) from public, anon, authenticated, service_role;
