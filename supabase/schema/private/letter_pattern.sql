-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.letter_pattern(
  p_letter text
) returns text
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

comment on function private.letter_pattern(text) is
'A regular expression for a folded letter.';
