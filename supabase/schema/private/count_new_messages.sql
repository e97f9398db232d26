-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER messages_count_new AFTER INSERT ON public.messages REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION private.count_new_messages()
create or replace function private.count_new_messages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update public.conversations as c
  set
    head_id = n.newest_id,
    preview = private.preview(n.newest_id),
    message_count = c.message_count + n.messages,
    cost_micro_usd = c.cost_micro_usd + n.cost,
    tokens = c.tokens + n.tokens,
    last_message_at = case when c.message_count = 0 then n.newest else greatest(c.last_message_at, n.newest) end
  from (
    select
      i.conversation_id,
      count(*)::integer as messages,
      coalesce(sum(i.cost_micro_usd), 0)::bigint as cost,
      coalesce(sum(i.tokens_used), 0)::bigint as tokens,
      (array_agg(i.id order by i.position desc))[1] as newest_id,
      max(i.created_at) as newest
    from inserted as i
    group by i.conversation_id
  ) as n
  where c.id = n.conversation_id and c.message_count is not null;
  return null;
end;
$$;

comment on function private.count_new_messages() is
'Trigger: the newest message is its conversation''s head, and counted.';
