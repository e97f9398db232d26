-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.minute_left(
  p_user_id uuid,
  p_limits private.limits
) returns table (
  used bigint,
  held bigint,
  oldest timestamp with time zone,
  requests bigint
)
language sql
security invoker
set search_path = ''
as $$
  select
    greatest(0, coalesce(u.tokens, 0)), h.tokens, u.oldest,
    greatest(0, floor(
      extract(epoch from interval '60 seconds' - greatest(interval '0', m.full_at - clock_timestamp()))
      / extract(epoch from private.request_step(p_limits.requests_per_minute))
    ))::bigint
  from (
    select sum(l.tokens)::bigint as tokens, min(l.created_at) as oldest
    from private.usage_ledger as l
    where l.user_id = p_user_id and l.kind = 'reply' and l.created_at > clock_timestamp() - interval '60 seconds'
  ) as u
  cross join (
    select coalesce(sum(r.tokens), 0)::bigint as tokens from private.reservations as r where r.user_id = p_user_id
  ) as h
  cross join (
    select max(t.full_at) as full_at from private.meters as t where t.user_id = p_user_id and t.kind = 'turn'
  ) as m
$$;

comment on function private.minute_left(uuid, private.limits) is
'What a user''s turns have taken of the minute: the tokens used in the last 60 seconds, since when, those that are held, and how many requests are left.';
