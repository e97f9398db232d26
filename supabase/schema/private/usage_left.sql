-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.usage_left() returns jsonb
language sql
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'allowed', (private.limits_of(u.id)).allowed,
    'other_requests', (
      select jsonb_object_agg(
        k.kind,
        private.request_quota(
          (private.limits_of(u.id)).requests_per_minute,
          (select m.full_at from private.meters as m where m.user_id = u.id and m.kind = k.kind)
        )
      )
      from unnest(array['search', 'document', 'moderation']) as k (kind)
    ),
    'storage', (
      select jsonb_object_agg(
        a.kind, jsonb_build_object('limit', a.most, 'used', a.used, 'remaining', greatest(0, a.most - a.used))
      )
      from (
        select
          k.kind,
          private.most_of(u.id, k.kind) as most,
          coalesce((select s.amount from private.stored as s where s.user_id = u.id and s.kind = k.kind), 0) as used
        from unnest(array['conversations', 'messages', 'documents', 'passages', 'document_bytes']) as k (kind)
      ) as a
    )
  )
  from (select auth.uid() as id) as u
$$;

comment on function private.usage_left() is
'The part of public.my_usage that says what the caller may still ask for and store.';

grant execute on function private.usage_left() to authenticated;
