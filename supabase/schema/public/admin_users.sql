-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.admin_users(
  p_plan text default null,
  p_after uuid default null,
  p_limit integer default 1000
) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(jsonb_agg(to_jsonb(e) order by e.user_id), '[]')
  from private.entitled(p_plan, p_after, least(greatest(p_limit, 1), 1000)) as e
$$;

comment on function public.admin_users(text, uuid, integer) is
'A page of at most 1000 users who have a plan, or this one, expired ones included, in the order of their ids: {user_id, email (null without one), plan, valid_until, expired, known}. The next page is after the last user_id. For the service.';

grant execute on function public.admin_users(text, uuid, integer) to service_role;
