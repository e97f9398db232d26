-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.between_words() returns text
language sql
immutable
parallel safe
security invoker
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
