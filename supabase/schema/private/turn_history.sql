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
  -- newest first until a limit is met
  with recursive branch as (
    select
      m.id, m.parent_id, m.position, m.role, m.content, 1 as steps,
      (m.status <> 'streaming' and m.content <> '' and m.flagged is null and m.screened)::integer as usable
    from public.messages as m
    where m.id = p_asked.parent_id
    union all
    select
      m.id, m.parent_id, m.position, m.role, m.content, b.steps + 1,
      b.usable + (m.status <> 'streaming' and m.content <> '' and m.flagged is null and m.screened)::integer
    from branch as b
    cross join lateral (select o.* from public.messages as o where o.id = b.parent_id offset 0) as m
    where b.usable < 100 and b.steps < 400
  )
  select coalesce(
    jsonb_agg(jsonb_build_object('role', h.role, 'content', h.content) order by h.position), '[]'
  )
  from (
    select
      n.*,
      sum(char_length(n.content)) over (order by n.position desc) as characters,
      -- private.estimate_tokens, written out: it is asked a hundred times
      sum((octet_length(n.content) + 3) / 4) over (order by n.position desc) as tokens
    from (
      select b.*, lag(b.usable, 1, 0) over (order by b.steps) as usable_before
      from branch as b
    ) as n
    where
      n.usable > n.usable_before
      -- no answer without its question
      and (n.role <> 'assistant' or n.parent_id is null or (
        select p.flagged is null and p.screened from public.messages as p where p.id = n.parent_id
      ))
  ) as h
  where h.characters <= 400000 and h.tokens <= p_tokens
$$;

comment on function private.turn_history(public.messages, integer) is
'What was said before this user message on its branch, oldest first: [{role, content}], at most 100 messages of the newest 400, 400,000 characters and about p_tokens tokens, and nothing that moderation did not let pass. The API trims it further to the model''s context.';
