-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.check_search(
  p_threshold double precision,
  p_count integer,
  p_filter jsonb
) returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  -- NaN is larger than any number
  if p_threshold < -1 or p_threshold > 1 then
    raise exception using errcode = '22023',
      message = format('match_threshold must be from -1 to 1, not %s', p_threshold);
  end if;
  if p_count < 1 then
    raise exception using errcode = '22023',
      message = format('match_count must be at least 1, not %s', p_count);
  end if;
  if jsonb_typeof(p_filter) <> 'object' then
    raise exception using errcode = '22023',
      message = format('filter must be a JSON object, not: %s', jsonb_typeof(p_filter));
  end if;
end;
$$;

comment on function private.check_search(double precision, integer, jsonb) is
'Error 22023, naming the argument, for one that is out of range.';

grant execute on function private.check_search(double precision, integer, jsonb) to authenticated;
