-- Internals live in `private`: never exposed through the Data API, reached only by the functions that need it.
create schema if not exists private;

comment on schema private is
'Parley''s internals: not exposed through the Data API. Functions here check auth.uid() themselves.';

revoke all on schema private from public;
grant usage on schema private to authenticated, service_role;

create extension if not exists vector with schema extensions;

create function private.set_updated_at() returns trigger
language plpgsql
security invoker
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

comment on function private.set_updated_at() is
'Trigger: keeps updated_at true whoever writes the row.';

revoke all on function private.set_updated_at() from public, anon, authenticated;
