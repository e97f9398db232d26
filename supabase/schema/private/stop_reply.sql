-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.stop_reply(
  p_message_id uuid
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_reply public.messages;
begin
  select * into v_reply from public.messages as m
  where m.id = p_message_id and (m.user_id = auth.uid()) is true and m.role = 'assistant';
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such reply.';
  end if;
  update private.live_replies as l set stop_requested = true where l.message_id = p_message_id;
  return to_jsonb(v_reply);
end;
$$;

comment on function private.stop_reply(uuid) is
'See public.stop_reply.';

grant execute on function private.stop_reply(uuid) to authenticated;
