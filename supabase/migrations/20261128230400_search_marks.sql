-- Before the code: hits are shown in the text as it was written, so what is found in folded letters is sought there again.
create table private.letter_variants (
  -- a letter, or two
  folded text primary key,
  variants text not null
);

comment on table private.letter_variants is 'The single letters that private.folded makes into one letter or two.';

alter table private.letter_variants enable row level security;
revoke all on table private.letter_variants from public, anon, authenticated, service_role;

insert into private.letter_variants (folded, variants)
select f.folded, string_agg(f.letter, '' order by f.letter)
from (
  select chr(c.code) as letter, private.folded(private.plain_words(chr(c.code))) as folded
  from (
    select generate_series(65, 90) as code
    union all
    select generate_series(192, 13311)
    union all
    select generate_series(63744, 64255 + 80)
    union all
    select generate_series(64336, 65276)
    union all
    select generate_series(65296, 65500)
    union all
    select generate_series(119808, 120831)
  ) as c
) as f
where f.letter <> f.folded and char_length(f.folded) between 1 and 2 and f.folded !~ ('[' || private.between_words() || ']')
group by f.folded;

create function private.letters_pattern(p_letters text) returns text
language plpgsql
stable
-- definer: it reads a table of ours
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

comment on function private.letters_pattern(text) is 'A regular expression for folded letters in a text that is not folded.';

create function private.letter_pattern(p_letter text) returns text
language sql
stable
security definer
set search_path = ''
as $$
  select format('[%s%s]', string_agg(l.letter, ''), string_agg(v.variants, ''))
  from (
    select p_letter as letter
    union
    -- the sound mark of a kana may be a character of its own
    select left(normalize(p_letter, nfd), 1)
  ) as l
  left join private.letter_variants as v on v.folded = l.letter
$$;

comment on function private.letter_pattern(text) is 'A regular expression for a folded letter.';

create function private.term_pattern(p_term private.search_term) returns text
language sql
stable
security definer
set search_path = ''
as $$
  select case
    when (p_term).unspaced then private.letters_pattern((p_term).letters)
    when (p_term).letters ~ '^.(plusplus|sharp)$' then format(
      '(?<![A-Za-z0-9])%s%s',
      private.letter_pattern(left((p_term).letters, 1)), case when (p_term).letters ~ 'sharp$' then '#' else '\+\+' end
    )
    else
      -- where a word begins; also after a script without blanks
      '(?<![^' || private.between_words() || private.unspaced_letters(2) || private.unspaced_letters(3) || '])'
      || private.letters_pattern((p_term).letters)
      -- one letter is a word of its own
      || case when char_length((p_term).letters) = 1
        then '(?![^' || private.between_words() || private.unspaced_letters(2) || private.unspaced_letters(3) || '])'
        else ''
      end
  end
$$;

comment on function private.term_pattern(private.search_term) is
'A regular expression for a term of a query in a text as it was written.';

create function private.query_patterns(p_query text) returns text[]
language sql
stable
security definer
set search_path = ''
as $$
  select array_agg(private.term_pattern(t) order by char_length(t.letters) desc, t.letters)
  from unnest(private.search_terms(p_query)) as t
$$;

comment on function private.query_patterns(text) is
'Regular expressions for the terms of a query in a text as it was written, the longest first; null when it has none.';

create function private.snippet(p_text text, p_patterns text[]) returns text
language plpgsql
immutable
parallel safe
set search_path = ''
as $$
declare
  c_before constant integer := 60;
  c_length constant integer := 200;
  -- a text can hold these; its own are left out
  c_start constant text := U&'\0001';
  c_end constant text := U&'\0002';

  v_pattern text := array_to_string(p_patterns, '|');
  -- a long word says more than a short one, which may stand anywhere
  v_place integer := coalesce(nullif(regexp_instr(p_text, p_patterns[1]), 0), regexp_instr(p_text, v_pattern));
  v_start integer := greatest(1, least(v_place - c_before, char_length(p_text) - c_length + 1));
  v_snippet text := translate(substr(p_text, v_start, c_length), c_start || c_end, '');
begin
  -- half a word at either end; a script without blanks has none to cut at
  if v_start > 1 then
    v_snippet := regexp_replace(v_snippet, '^\S{0,20}\s+', '');
  end if;
  if v_start + c_length <= char_length(p_text) then
    v_snippet := regexp_replace(v_snippet, '\s+\S{0,20}$', '');
  end if;
  v_snippet := regexp_replace(btrim(regexp_replace(v_snippet, '\s+', ' ', 'g')), v_pattern, c_start || '\&' || c_end, 'g');
  v_snippet := replace(replace(replace(replace(replace(
    v_snippet, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;');
  return
    case when v_start > 1 then '…' else '' end
    || replace(replace(v_snippet, c_start, '<mark>'), c_end, '</mark>')
    || case when v_start + c_length <= char_length(p_text) then '…' else '' end;
end;
$$;

comment on function private.snippet(text, text[]) is
'Some 200 letters of the text around the first match of the first pattern, or of any, as HTML: its own characters are escaped, the only tags are <mark> around '
'each match.';

revoke all on function private.letters_pattern(text) from public, anon, authenticated, service_role;
revoke all on function private.letter_pattern(text) from public, anon, authenticated, service_role;
revoke all on function private.term_pattern(private.search_term) from public, anon, authenticated, service_role;
revoke all on function private.snippet(text, text[]) from public, anon, authenticated, service_role;
