-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.with_ascii_digits(
  p_text text
) returns text
language plpgsql
immutable
parallel safe
security invoker
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
