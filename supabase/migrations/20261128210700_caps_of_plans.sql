-- Before the code: it sets how much a user of a plan may have. The release before sends none of the new keys.
create or replace function public.admin_limits(
  p_plan text default null,
  p_changes jsonb default '{}'::jsonb
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_columns constant text[] := array[
    'premium', 'requests_per_minute', 'tokens_per_minute', 'monthly_budget_micro_usd',
    'max_conversations', 'max_messages', 'max_documents', 'max_passages', 'max_document_bytes'
  ];
  v_unknown text;
  v_made boolean := false;
begin
  select string_agg(k.key, ', ' order by k.key) into v_unknown
  from jsonb_object_keys(p_changes) as k (key)
  where k.key <> all(c_columns);
  if v_unknown is not null then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = format(
      'p_changes has no %s; it may hold %s.', v_unknown, array_to_string(c_columns, ', ')
    );
  end if;
  if p_changes = '{}' then
    if p_plan is not null then
      perform private.require_plan(p_plan);
    end if;
  elsif p_plan is null then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'p_changes needs a p_plan.';
  else
    insert into private.plans as p (
      plan, premium, requests_per_minute, tokens_per_minute, monthly_budget_micro_usd,
      max_conversations, max_messages, max_documents, max_passages, max_document_bytes
    )
    select
      p_plan, coalesce(c.premium, true), c.requests_per_minute, c.tokens_per_minute, c.monthly_budget_micro_usd,
      c.max_conversations, c.max_messages, c.max_documents, c.max_passages, c.max_document_bytes
    from jsonb_to_record(p_changes) as c (
      premium boolean, requests_per_minute integer, tokens_per_minute integer, monthly_budget_micro_usd bigint,
      max_conversations bigint, max_messages bigint, max_documents bigint, max_passages bigint, max_document_bytes bigint
    )
    -- a key that is there with null takes the plan's own limit away; one that is not there changes nothing
    on conflict (plan) do update set
      premium = case when p_changes ? 'premium' then excluded.premium else p.premium end,
      requests_per_minute = case
        when p_changes ? 'requests_per_minute' then excluded.requests_per_minute else p.requests_per_minute
      end,
      tokens_per_minute = case
        when p_changes ? 'tokens_per_minute' then excluded.tokens_per_minute else p.tokens_per_minute
      end,
      monthly_budget_micro_usd = case
        when p_changes ? 'monthly_budget_micro_usd' then excluded.monthly_budget_micro_usd
        else p.monthly_budget_micro_usd
      end,
      max_conversations = case when p_changes ? 'max_conversations' then excluded.max_conversations else p.max_conversations end,
      max_messages = case when p_changes ? 'max_messages' then excluded.max_messages else p.max_messages end,
      max_documents = case when p_changes ? 'max_documents' then excluded.max_documents else p.max_documents end,
      max_passages = case when p_changes ? 'max_passages' then excluded.max_passages else p.max_passages end,
      max_document_bytes = case when p_changes ? 'max_document_bytes' then excluded.max_document_bytes else p.max_document_bytes end
    -- a row that was updated carries the lock of the update
    returning p.xmax = 0 into v_made;
  end if;
  return jsonb_build_object(
    'settings', (select to_jsonb(s) - 'singleton' from private.settings as s),
    'plans', (
      select jsonb_agg(
        to_jsonb(p) || jsonb_build_object('users', coalesce(h.users, 0), 'expired', coalesce(h.expired, 0))
        order by p.plan
      )
      from private.plans as p
      left join (
        select
          e.plan,
          count(*) filter (where e.valid_until is null or e.valid_until > clock_timestamp()) as users,
          count(*) filter (where e.valid_until <= clock_timestamp()) as expired
        from public.entitlements as e
        group by e.plan
      ) as h on h.plan = p.plan
      where p_plan is null or p.plan = p_plan
    ),
    'made', v_made
  );
end;
$$;

comment on function public.admin_limits(text, jsonb) is
'The limits of all plans, or of one: {settings, plans, made}, each plan with the number of users who have it now and of those '
'for whom it has expired. p_changes makes or changes that one first: it may hold premium, requests_per_minute, '
'tokens_per_minute, monthly_budget_micro_usd, max_conversations, max_messages, max_documents, max_passages and '
'max_document_bytes; without it, a plan that does not exist is refused. For the service.';
