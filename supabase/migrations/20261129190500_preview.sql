-- Before the code: nothing of it changes. The message before is read only where it is needed, by its id.
create or replace function private.preview(p_message_id uuid) returns text
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
