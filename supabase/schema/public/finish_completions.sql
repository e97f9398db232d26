-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.finish_completions(
  p_completions jsonb
) returns boolean
language plpgsql
security invoker
set search_path = ''
as $$
begin
  -- before they are settled, which releases what is held: a repeated call adds nothing
  insert into private.moderation_audit (message_id, user_id, part, categories)
  select c.id, c.user_id, c.flagged_part, c.flagged
  from jsonb_to_recordset(p_completions) as c (id uuid, user_id uuid, flagged text[], flagged_part text)
  join private.reservations as v on v.reply_id = c.id and v.completion
  where c.flagged is not null;
  perform private.settle(p_completions);
  return true;
end;
$$;

comment on function public.finish_completions(jsonb) is
'Charges completions [{id, user_id, calls, flagged, flagged_part}], calls as private.settle takes them, and releases what is held for them. flagged are the categories for which moderation refused the input or the output; then the operator''s audit has a row, without text. A repeated call changes nothing. For the service.';

grant execute on function public.finish_completions(jsonb) to service_role;
