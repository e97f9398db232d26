-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.turn_history(
  p_asked public.messages,
  p_tokens integer
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  -- of each earlier turn the user message and the newest reply with text, newest turns first until a limit is met
  select coalesce(
    jsonb_agg(jsonb_build_object('role', h.role, 'content', h.content) order by h.turn, h.role = 'assistant'), '[]'
  )
  from (
    select
      n.*,
      sum(char_length(n.content)) over (order by n.turn desc, n.role) as characters,
      -- private.estimate_tokens, written out: it is asked a hundred times
      sum((octet_length(n.content) + 3) / 4) over (order by n.turn desc, n.role) as tokens
    from (
      select distinct on (m.turn, m.role) m.turn, m.role, m.content, m.parent_id
      from public.messages as m
      where
        m.conversation_id = p_asked.conversation_id
        and m.user_id = p_asked.user_id
        -- a message that is not stored yet comes after all others
        and (m.turn < p_asked.turn or p_asked.turn is null)
        and m.status <> 'streaming'
        and m.content <> ''
        and m.flagged is null
        and m.screened
      order by m.turn desc, m.role desc, m.position desc
      limit 100
    ) as n
    -- no answer without its question
    where n.parent_id is null or exists (
      select from public.messages as p where p.id = n.parent_id and p.flagged is null and p.screened
    )
  ) as h
  where h.characters <= 400000 and h.tokens <= p_tokens
$$;

comment on function private.turn_history(public.messages, integer) is
'What was said before this user message, oldest first: [{role, content}], at most 100 messages, 400,000 characters and about p_tokens tokens, and nothing that moderation did not let pass. The API trims it further to the model''s context.';
