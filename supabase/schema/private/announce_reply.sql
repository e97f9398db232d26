-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER messages_announce_reply AFTER UPDATE OF seq, status ON public.messages FOR EACH ROW WHEN (((new.role = 'assistant'::text) AND ((new.seq IS DISTINCT FROM old.seq) OR (new.status IS DISTINCT FROM old.status)))) EXECUTE FUNCTION private.announce_reply()
create or replace function private.announce_reply() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_topic text := 'conversation:' || new.conversation_id;
  v_event text := case
    when new.status = old.status then null
    when new.status in ('complete', 'filtered') then 'message.completed'
    when new.status in ('stopped', 'failed', 'interrupted') then 'message.' || new.status
  end;
  -- a text that does not go on from the one before has to be read anew, like one that is too long
  v_text text := case
    when starts_with(new.content, old.content)
      then private.pushable(right(new.content, char_length(new.content) - char_length(old.content)))
  end;
  v_reasoning text := case
    when starts_with(new.reasoning, old.reasoning)
      then private.pushable(right(new.reasoning, char_length(new.reasoning) - char_length(old.reasoning)))
  end;
begin
  if new.seq > old.seq then
    -- what was thought goes in the same message as the text, within the same budget of messages and bytes
    perform realtime.send(
      jsonb_build_object('message_id', new.id, 'seq', new.seq, 'text', v_text)
      || case
        when new.reasoning = old.reasoning then '{}'
        when private.pushable(coalesce(v_text, '') || v_reasoning) is null then '{"reasoning": null}'
        else jsonb_build_object('reasoning', v_reasoning)
      end,
      'message.delta', v_topic, true
    );
  end if;
  if v_event is not null then
    perform realtime.send(
      jsonb_build_object(
        'message_id', new.id, 'status', new.status, 'seq', new.seq, 'length', char_length(new.content),
        'finish_reason', new.finish_reason, 'error_code', new.error_code, 'provider', new.provider, 'model', new.model,
        'prompt_tokens', new.prompt_tokens, 'completion_tokens', new.completion_tokens,
        'cached_tokens', new.cached_tokens, 'reasoning_tokens', new.reasoning_tokens,
        'reasoning_ms', new.reasoning_ms, 'cost_micro_usd', new.cost_micro_usd
      ),
      v_event, v_topic, true
    );
  end if;
  return null;
end;
$$;

comment on function private.announce_reply() is
'Trigger: message.delta for each piece that a reply grows by, with reasoning where there is new, then how it ended: message.completed (also when filtered), message.stopped, message.failed or message.interrupted.';
