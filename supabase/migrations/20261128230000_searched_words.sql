-- Before the code: it searches conversations. What the words of a text are, whatever its script and whatever stands around
-- them. As Postgres' parser knows neither addresses nor unspaced scripts, and depends on the server's locale, it has no part
-- in this.
create function private.between_words() returns text
language sql
immutable
parallel safe
set search_path = ''
as $$
  select
    -- controls and blanks, ASCII and Latin 1 but letters and digits
    '\u0001-/:-@\[-`{-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7\u02c2-\u02df'
    -- of Greek, Armenian, Hebrew, Arabic, Devanagari, Thai, Tibetan, Burmese, Georgian, Ethiopic, Khmer, Mongolian
    || '\u037e\u0387\u055a-\u055f\u0589\u058a\u05be\u05c0\u05c3\u05c6\u05f3\u05f4\u0600-\u060f\u061b-\u061f\u066a-\u066d\u06d4'
    || '\u0964\u0965\u0970\u0df4\u0e2f\u0e4f\u0e5a\u0e5b\u0f04-\u0f14\u104a-\u104f\u10fb\u1360-\u1368\u17d4-\u17db\u1800-\u180a'
    -- general punctuation, signs, arrows, mathematics, boxes, dingbats, of Chinese and Japanese, emoji
    || '\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff\u2e00-\u2e7f\u3000-\u3004\u3008-\u3020\u3030\u303d\u30a0\u30fb'
    || '\ufe10-\ufe6b\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\ufff0-\uffff\U0001f000-\U0001faff'
$$;

comment on function private.between_words() is
'What parts words, as ranges of a regular expression: blanks, punctuation and signs of all scripts.';

create function private.accents() returns text
language sql
immutable
parallel safe
set search_path = ''
as $$
  -- accents, points and vowels of Hebrew and Arabic, tatweel
  select '\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4'
$$;

comment on function private.accents() is 'Marks without which a word is found, too, as ranges of a regular expression.';

create function private.folded(p_text text) returns text
language sql
immutable
parallel safe
set search_path = ''
as $$
  select normalize(
    regexp_replace(
      replace(replace(replace(replace(
        translate(normalize(lower(p_text), nfkd), 'øłđðħıςىیک', 'olddhiσييك'),
        'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'),
      '[' || private.accents() || ']+', '', 'g'
    ),
    nfc
  )
$$;

comment on function private.folded(text) is
'The text in small letters without accents, so that a word is found with and without them.';

create function private.without_width() returns text
language sql
immutable
parallel safe
set search_path = ''
as $$
  select '\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff'
$$;

comment on function private.without_width() is
'Characters without width, as ranges of a regular expression: they part no words.';

create function private.plain_search(p_text text, p_signs text) returns text
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
'The words of a text, folded, with one blank between them. C++ and C# are cplusplus and csharp; p_signs stands before these: '
'\2 and a blank where the letter alone is to be a word, too.';

create function private.search_words(p_text text) returns text[]
language plpgsql
immutable
parallel safe
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
'The different words of a text, of which the first 40 letters count; of an unspaced script each pair of letters that stand side '
'by side, and the last letter of a run.';

create type private.search_term as (
  -- a word, or the letters of an unspaced script that stand in a row
  letters text,
  unspaced boolean
);

create function private.search_terms(p_query text) returns private.search_term[]
language sql
immutable
parallel safe
set search_path = ''
as $$
  with unspaced as (
    select private.unspaced_letters(2) || private.unspaced_letters(3) as letters
  )
  select array_agg(distinct (t.term[1], t.term[1] ~ ('^[' || u.letters || ']'))::private.search_term)
  from unspaced as u
  cross join lateral regexp_matches(
    private.plain_search(p_query, ''), '[' || u.letters || ']+|[^ ' || u.letters || ']+', 'g'
  ) as t (term)
$$;

comment on function private.search_terms(text) is 'What a query asks for, all of it; null when it has no word.';

revoke all on function private.between_words() from public, anon, authenticated, service_role;
revoke all on function private.accents() from public, anon, authenticated, service_role;
revoke all on function private.folded(text) from public, anon, authenticated, service_role;
revoke all on function private.without_width() from public, anon, authenticated, service_role;
revoke all on function private.plain_search(text, text) from public, anon, authenticated, service_role;
revoke all on function private.search_words(text) from public, anon, authenticated, service_role;
revoke all on function private.search_terms(text) from public, anon, authenticated, service_role;
revoke all on type private.search_term from public, anon, authenticated, service_role;
