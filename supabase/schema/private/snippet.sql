-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.snippet(
  p_text text,
  p_patterns text[]
) returns text
language plpgsql
immutable
parallel safe
security invoker
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
'Some 200 letters of the text around the first match of the first pattern, else of the second, as HTML: its own characters are escaped, the only tags are <mark> and </mark> around each match of the second.';

grant execute on function private.snippet(text, text[]) to authenticated;
