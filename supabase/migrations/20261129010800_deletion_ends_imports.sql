-- Before the code: what is being imported ends when everything is deleted. The release before does neither.
create function private.forget_my_imports() returns void
language sql
security definer
set search_path = ''
-- waits for a part that is being added; the next one is refused
as $$ delete from private.imports as i where i.user_id = auth.uid() $$;

comment on function private.forget_my_imports() is 'Ends and forgets the imports of the caller.';

revoke all on function private.forget_my_imports() from public, anon, authenticated, service_role;
grant execute on function private.forget_my_imports() to authenticated;

create or replace function public.delete_my_data() returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select private.forget_my_imports();
  select private.delete_my_data();
$$;
