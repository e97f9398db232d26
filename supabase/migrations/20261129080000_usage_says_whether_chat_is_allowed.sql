-- Before the code: my_usage says whether the caller may chat. Replicas of the release before do not read it.
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

comment on function public.my_usage() is
'The caller''s {plan, allowed, today, month, models (of this month), held_tokens, requests, tokens, budget, other_requests: {search, document, moderation}, storage: {conversations, messages, documents, passages, document_bytes}}; days and months are UTC. allowed: whether the plan allows chat, documents and search. requests are turns. budget is null where the plan has none.';
