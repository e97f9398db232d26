-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.output_reserve(
  p_max_tokens integer,
  p_tokens_per_minute integer
) returns integer
language sql
immutable
security invoker
set search_path = ''
as $$
  select case
    when p_max_tokens is null then least(1024, greatest(1, p_tokens_per_minute / 10))
    else greatest(1, p_max_tokens)
  end
$$;

comment on function private.output_reserve(integer, integer) is
'Tokens to hold for a reply at least: all it may have, or when nobody says 1,024 and at most a tenth of the limit: so that by default a minute''s requests may all be answered at once. See private.admit_turn for how it grows.';
