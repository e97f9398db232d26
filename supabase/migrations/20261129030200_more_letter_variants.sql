-- Before the code: hits in letters that were not known yet are marked, too: x², letters of Adlam, Deseret and others.
insert into private.letter_variants as v (folded, variants)
select f.folded, string_agg(f.letter, '' order by f.letter)
from (
  select chr(c.code) as letter, private.folded(private.plain_words(chr(c.code))) as folded
  from (
    -- of Latin 1
    select generate_series(160, 191) as code
    union all
    -- Cyrillic, Latin and Cherokee beyond the first blocks
    select generate_series(42560, 43007)
    union all
    select generate_series(43824, 43967)
    union all
    -- Deseret, Osage, Vithkuqi, Old Hungarian, Garay, Warang Citi, Medefaidrin, Adlam
    select generate_series(66560, 68991)
    union all
    select generate_series(71840, 71871)
    union all
    select generate_series(93760, 93791)
    union all
    select generate_series(125184, 125251)
    union all
    -- letters in squares and circles
    select generate_series(127232, 127391)
  ) as c
) as f
where f.letter <> f.folded and char_length(f.folded) between 1 and 2 and f.folded !~ ('[' || private.between_words() || ']')
group by f.folded
on conflict (folded) do update set variants = v.variants || excluded.variants;
