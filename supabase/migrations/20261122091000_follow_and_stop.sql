-- What an owner may do with a reply that another replica writes: read on from an offset, and ask it to stop.
create function public.read_reply(p_message_id uuid, p_after integer) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select jsonb_build_object(
    'text', substr(m.content, p_after + 1),
    'message', to_jsonb(m) - 'content'
  )
  from public.messages as m
  where m.id = p_message_id and m.user_id = (select auth.uid()) and m.role = 'assistant'
$$;

comment on function public.read_reply(uuid, integer) is
'{text, message} of a reply of the caller: its text after the first p_after code points, and its row without the text. '
'Null when there is no such reply.';

create function private.stop_reply(p_message_id uuid) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_reply public.messages;
begin
  select * into v_reply from public.messages as m
  where m.id = p_message_id and m.user_id = auth.uid() and m.role = 'assistant';
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such reply.';
  end if;
  update private.live_replies as l set stop_requested = true where l.message_id = p_message_id;
  return to_jsonb(v_reply);
end;
$$;

comment on function private.stop_reply(uuid) is 'See public.stop_reply.';

create function public.stop_reply(p_message_id uuid) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.stop_reply(p_message_id) $$;

comment on function public.stop_reply(uuid) is
'Asks the writer of the caller''s reply to stop; it does so with its next journal write. Returns the reply as it is now. '
'Error: PT404 not_found.';

revoke all on function public.read_reply(uuid, integer) from public, anon, service_role;
revoke all on function private.stop_reply(uuid) from public, anon, service_role;
revoke all on function public.stop_reply(uuid) from public, anon, service_role;
grant execute on function public.read_reply(uuid, integer) to authenticated;
grant execute on function private.stop_reply(uuid) to authenticated;
grant execute on function public.stop_reply(uuid) to authenticated;
