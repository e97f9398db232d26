-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.export_messages(
  p_conversation_id uuid,
  p_after bigint default 0
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$ select private.export_messages(p_conversation_id, p_after) $$;

comment on function public.export_messages(uuid, bigint) is
'Messages of the caller''s conversation after a position, on all branches, in the order of their creation: at most 200, and no further one after 200,000 characters. {items, last, more} as for export_conversations.';

grant execute on function public.export_messages(uuid, bigint) to authenticated;
