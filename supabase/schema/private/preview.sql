-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.preview(
  p_message_id uuid
) returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select left(coalesce(
    nullif(m.content, ''), (select p.content from public.messages as p where p.id = m.parent_id)
  ), 200)
  from public.messages as m
  where m.id = p_message_id
$$;

comment on function private.preview(uuid) is
'The first 200 characters of a message''s text, or of the one before it while it has none.';
