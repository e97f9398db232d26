-- Before the code: it reads and writes the new column. The release before does neither.
set local lock_timeout = '2s';

alter table public.messages add column feedback jsonb;
alter table public.messages
add constraint messages_rating_check check (
  feedback is null or (role = 'assistant' and coalesce(feedback ->> 'rating', '') in ('up', 'down'))
) not valid,
add constraint messages_comment_check check (char_length(feedback ->> 'comment') between 1 and 2000) not valid;

comment on column public.messages.feedback is
'What its owner says of a reply: {rating: up or down, comment: text or null}. Null where they say nothing.';

create function private.set_feedback(p_message_id uuid, p_rating text, p_comment text) returns jsonb
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
  where m.id = p_message_id and m.user_id = (select auth.uid())
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

comment on function private.set_feedback(uuid, text, text) is 'See public.set_feedback.';

create function public.set_feedback(p_message_id uuid, p_rating text default null, p_comment text default null)
returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.set_feedback(p_message_id, p_rating, p_comment) $$;

comment on function public.set_feedback(uuid, text, text) is
'Says what the caller thinks of a reply of theirs, in place of what they said before: p_rating up or down, p_comment at '
'most 2,000 characters or null. Without p_rating it is taken back. Returns the message as read_message does. Errors: PT404 '
'not_found, PT422 invalid_request.';

revoke all on function private.set_feedback(uuid, text, text) from public, anon, authenticated, service_role;
revoke all on function public.set_feedback(uuid, text, text) from public, anon, authenticated, service_role;
grant execute on function private.set_feedback(uuid, text, text) to authenticated;
grant execute on function public.set_feedback(uuid, text, text) to authenticated;
