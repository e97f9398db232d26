-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.renew_completions(
  p_completions jsonb
) returns boolean
language plpgsql
security invoker
set search_path = ''
as $$
begin
  -- in the order of private.settle: calls that come to wait for each other's rows lose a second
  perform from private.reservations as v
  where v.reply_id in (select c.id from jsonb_to_recordset(p_completions) as c (id uuid))
  order by v.reply_id
  for update;
  update private.reservations as v
  set
    calls = c.calls,
    -- a prompt that is sent again is paid again: then more is held than at the beginning
    prompt_tokens = greatest(v.prompt_tokens, private.prompt_tokens_of(c.calls)),
    expires_at = clock_timestamp() + private.lease()
  from jsonb_to_recordset(p_completions) as c (id uuid, calls jsonb)
  where v.reply_id = c.id and v.completion;
  return true;
end;
$$;

comment on function public.renew_completions(jsonb) is
'Renews what is held for the completions [{id, calls}] that a process writes, and keeps the calls that were made so far, as private.settle takes them. For the service.';

grant execute on function public.renew_completions(jsonb) to service_role;
