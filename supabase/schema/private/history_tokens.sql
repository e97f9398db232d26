-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.history_tokens(
  p_history jsonb
) returns integer
language sql
immutable
security invoker
set search_path = ''
as $$
  select coalesce(sum((octet_length(h.content) + 3) / 4), 0)::integer
  from jsonb_to_recordset(p_history) as h (content text)
$$;

comment on function private.history_tokens(jsonb) is
'About how many tokens a private.turn_history is.';
