-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.plain_search(
  p_text text,
  p_signs text
) returns text
language plpgsql
immutable
parallel safe
security invoker
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
