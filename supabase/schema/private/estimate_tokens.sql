-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.estimate_tokens(
  p_text text
) returns integer
language sql
immutable
security invoker
set search_path = ''
as $$ select (octet_length(p_text) + 3) / 4 $$;

comment on function private.estimate_tokens(text) is
'About how many tokens a text is, where no provider has counted; the same estimate as in app/chat/prompt.py.';

grant execute on function private.estimate_tokens(text) to service_role;
