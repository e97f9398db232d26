-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.unspaced_letters(
  p_window integer
) returns text
language sql
immutable
parallel safe
security invoker
set search_path = ''
as $$
  select case p_window
    -- ideographs, hangul
    when 2 then '\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff'
    -- thai and lao, burmese, khmer, kana
    when 3 then '\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff'
  end
$$;

comment on function private.unspaced_letters(integer) is
'Letters, as ranges of a regular expression, of scripts without blanks between words (in Korean: between a word and its particles), of which p_window in a row say as much as a word: 2 or 3.';
