-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.set_feedback(
  p_message_id uuid,
  p_rating text,
  p_comment text
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_comment_characters constant integer := 2000;
  v_feedback constant jsonb := case
    when p_rating is not null then jsonb_build_object('rating', p_rating, 'comment', p_comment)
  end;
  v_message public.messages;
begin
  if p_rating is null and p_comment is not null or p_rating not in ('up', 'down') then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'rating: expected up or down.';
  end if;
  if char_length(p_comment) not between 1 and c_comment_characters then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format('comment: expected 1 to %s characters.', c_comment_characters);
  end if;
  select * into v_message from public.messages as m
  where m.id = p_message_id and (m.user_id = (select auth.uid())) is true
  for no key update;
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such message.';
  end if;
  if v_message.role <> 'assistant' then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'Feedback is given to replies only.';
  end if;
  if v_message.feedback is distinct from v_feedback then
    update public.messages as m set feedback = v_feedback where m.id = p_message_id returning * into v_message;
    perform realtime.send(
      jsonb_build_object(
        'message_id', v_message.id, 'conversation_id', v_message.conversation_id, 'feedback', v_message.feedback
      ),
      'message.feedback', 'conversation:' || v_message.conversation_id, true
    );
  end if;
  return to_jsonb(v_message) || jsonb_build_object('siblings', private.siblings(v_message));
end;
$$;

comment on function private.set_feedback(uuid, text, text) is
'See public.set_feedback.';

grant execute on function private.set_feedback(uuid, text, text) to authenticated;
