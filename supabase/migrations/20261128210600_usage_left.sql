-- Before the code: it shows what is left. The release before passes over the new keys of my_usage.
create function private.usage_left() returns jsonb
language sql
volatile
security definer
set search_path = ''
as $$
  select jsonb_build_object(
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

comment on function private.usage_left() is 'The part of public.my_usage that says what the caller may still ask for and store.';

revoke all on function private.usage_left() from public, anon, authenticated, service_role;
grant execute on function private.usage_left() to authenticated;

create or replace function public.my_usage() returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.my_usage() || private.usage_left() $$;

comment on function public.my_usage() is
'The caller''s {plan, today, month, models (of this month), held_tokens, requests, tokens, budget, other_requests: {search, '
'document, moderation}, storage: {conversations, messages, documents, passages, document_bytes}}; days and months are UTC. '
'requests are turns. budget is null where the plan has none.';
