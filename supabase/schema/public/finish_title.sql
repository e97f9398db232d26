-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.finish_title(
  p_conversation_id uuid,
  p_user_id uuid,
  p_title_id uuid,
  p_title text,
  p_calls jsonb
) returns boolean
language plpgsql
security invoker
set search_path = ''
as $$
begin
  perform private.settle(jsonb_build_array(
    jsonb_build_object('id', p_title_id, 'user_id', p_user_id, 'calls', p_calls)
  ));
  update public.conversations as c
  set title = p_title
  where c.id = p_conversation_id and c.user_id = p_user_id and c.title is null and p_title is not null;
  return found;
end;
$$;

comment on function public.finish_title(uuid, uuid, uuid, text, jsonb) is
'Charges the calls that were made for a title, as private.settle takes them, and gives it to the conversation where that has none: never over one that its user has set meanwhile. Returns whether it was given. A repeated call charges nothing again. For the service.';

grant execute on function public.finish_title(uuid, uuid, uuid, text, jsonb) to service_role;
