-- Before the code: keys end when everything is deleted. The release before has none.
create function private.forget_my_keys() returns void
language sql
security definer
set search_path = ''
as $$ delete from private.personal_keys as k where k.user_id = auth.uid() $$;

comment on function private.forget_my_keys() is 'Revokes all keys of the caller.';

revoke all on function private.forget_my_keys() from public, anon, authenticated, service_role;
grant execute on function private.forget_my_keys() to authenticated;

create or replace function public.delete_my_data() returns jsonb
language sql
security invoker
set search_path = ''
as $$
  select private.forget_my_keys();
  select private.forget_my_imports();
  select private.delete_my_data();
$$;

comment on function public.delete_my_data() is
'Deletes a part of everything of the caller: keys, imports, conversations with messages and feedback, then documents with '
'passages; replies that are being written end. Call it again while `more`. At the end the caller''s entries in the ledger '
'become nobody''s; the cost of the month and the tokens of the minute stay counted. The plan stays. Returns {more, ended: the '
'replies that were being written, conversations, messages, documents: how many went}.';
