-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER messages_count_ended AFTER UPDATE ON public.messages REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION private.count_ended_replies()
create or replace function private.count_ended_replies() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_changed uuid[];
  v_kept uuid[];
begin
  select array_agg(a.id) into v_changed
  from after as a
  join before as b on b.id = a.id
  where (a.status, a.cost_micro_usd, a.tokens_used) is distinct from (b.status, b.cost_micro_usd, b.tokens_used);
  if v_changed is null then
    return null;
  end if;
  select coalesce(array_agg(k.id), '{}') into v_kept
  from (
    select c.id from public.conversations as c
    where c.id in (select a.conversation_id from after as a where a.id = any(v_changed))
    for key share skip locked
  ) as k;
  perform from public.conversations as c where c.id = any(v_kept) order by c.id for no key update;
  update public.conversations as c
  set
    preview = case when c.head_id = any(v_changed) then private.preview(c.head_id) else c.preview end,
    cost_micro_usd = c.cost_micro_usd + d.cost,
    tokens = c.tokens + d.tokens
  from (
    select
      a.conversation_id,
      sum(coalesce(a.cost_micro_usd, 0) - coalesce(b.cost_micro_usd, 0))::bigint as cost,
      sum(coalesce(a.tokens_used, 0) - coalesce(b.tokens_used, 0))::bigint as tokens
    from after as a
    join before as b on b.id = a.id
    where a.id = any(v_changed)
    group by a.conversation_id
  ) as d
  where
    c.id = d.conversation_id
    and c.id = any(v_kept)
    and c.message_count is not null
    and (
      (d.cost, d.tokens) <> (0, 0)
      or (c.head_id = any(v_changed) and c.preview is distinct from private.preview(c.head_id))
    );
  return null;
end;
$$;

comment on function private.count_ended_replies() is
'Trigger: a reply that has ended is in its conversation''s sums, and its preview where it is the head.';
