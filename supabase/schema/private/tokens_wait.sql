-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.tokens_wait(
  p_user_id uuid,
  p_missing bigint
) returns interval
language sql
security invoker
set search_path = ''
as $$
  select coalesce(
    (
      select u.created_at + interval '60 seconds' - clock_timestamp()
      from (
        select l.created_at, sum(l.tokens) over (order by l.created_at, l.reply_id, l.entry) as tokens
        from private.usage_ledger as l
        where
          l.user_id = p_user_id and l.kind = 'reply'
          and l.created_at > clock_timestamp() - interval '60 seconds'
      ) as u
      where u.tokens >= p_missing
      order by u.created_at
      limit 1
    ),
    interval '5 seconds'
  )
$$;

comment on function private.tokens_wait(uuid, bigint) is
'How long until so many of the tokens used in the last minute are more than a minute old. When even all of them would not do, what is missing is held by replies that are being written, whose end nobody knows: then 5 seconds.';
