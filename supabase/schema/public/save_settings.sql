-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.save_settings(
  p_instructions text
) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  insert into public.user_settings as s (instructions)
  values (p_instructions)
  on conflict (user_id) do update set instructions = excluded.instructions
  returning to_jsonb(s)
$$;

comment on function public.save_settings(text) is
'Stores the caller''s settings: the instructions of conversations that have none of their own; null removes them. Returns the row. Error: PT422 invalid_request.';

grant execute on function public.save_settings(text) to authenticated;
