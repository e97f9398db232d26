-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER messages_preview_ended AFTER UPDATE ON public.messages REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION private.preview_ended_replies()
create or replace function private.preview_ended_replies() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_ended uuid[];
  v_kept uuid[];
begin
  select array_agg(a.id) into v_ended
  from after as a
  join before as b on b.id = a.id
  where a.status <> b.status;
  if v_ended is null then
    return null;
  end if;
  select coalesce(array_agg(k.id), '{}') into v_kept
  from (
    select c.id from public.conversations as c
    where c.id in (select a.conversation_id from after as a where a.id = any(v_ended))
    for key share skip locked
  ) as k;
  perform from public.conversations as c where c.id = any(v_kept) order by c.id for no key update;
  update public.conversations as c
  set preview = private.preview(c.head_id)
  where
    c.id = any(v_kept)
    and c.head_id = any(v_ended)
    and c.message_count is not null
    and c.preview is distinct from private.preview(c.head_id);
  return null;
end;
$$;

comment on function private.preview_ended_replies() is
'Trigger: a reply that has ended is its conversation''s preview, where it is the head.';
