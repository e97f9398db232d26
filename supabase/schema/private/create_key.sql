-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.create_key(
  p_name text,
  p_hash text,
  p_hint text,
  p_expires_at timestamp with time zone
) returns jsonb
language sql
security definer
set search_path = ''
as $$ select private.add_key(auth.uid(), p_name, p_hash, p_hint, p_expires_at) $$;

comment on function private.create_key(text, text, text, timestamp with time zone) is
'See public.create_key.';

grant execute on function private.create_key(text, text, text, timestamp with time zone) to authenticated;
