-- Before the code: hits are shown in the text as it was written, so what is found in folded letters is sought there again.
create table private.letter_variants (
  -- a letter, or two
  folded text primary key,
  variants text not null
);

comment on table private.letter_variants is 'The single letters that private.folded makes into one letter or two.';

alter table private.letter_variants enable row level security;
alter table private.letter_variants force row level security;
create policy "Nobody reads or writes directly" on private.letter_variants
to authenticated using (false) with check (false);
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

create function private.terms_pattern(p_terms private.search_term[]) returns text
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

create function private.query_patterns(p_query text) returns text[]
language sql
stable
security definer
set search_path = ''
as $$
  select case when t.terms is not null then array[
    private.terms_pattern((
      select array_agg(l) from (select o from unnest(t.terms) as o order by char_length(o.letters) desc limit 1) as l (l)
    )),
    private.terms_pattern(t.terms)
  ] end
  from (select private.search_terms(p_query) as terms) as t
$$;

comment on function private.query_patterns(text) is
'Regular expressions for the longest term of a query in a text as it was written, and for any; null when it has none.';

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

  v_pattern text := p_patterns[2];
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
'Some 200 letters of the text around the first match of the first pattern, else of the second, as HTML: its own characters are '
'escaped, the only tags are <mark> and </mark> around each match of the second.';

revoke all on function private.letters_pattern(text) from public, anon, authenticated, service_role;
revoke all on function private.letter_pattern(text) from public, anon, authenticated, service_role;
revoke all on function private.terms_pattern(private.search_term[]) from public, anon, authenticated, service_role;
revoke all on function private.snippet(text, text[]) from public, anon, authenticated, service_role;
