-- Before the code: it says what its embeddings cost, and charges for them. The release before does neither.
alter table private.settings
add column embeddings jsonb check (jsonb_typeof(embeddings) = 'object');

comment on column private.settings.embeddings is
'What documents are embedded with: {provider, model, input}, its price in micro-dollars per million tokens, null where it '
'is not known.';

alter table private.index_jobs
add column cost_micro_usd bigint not null default 0 check (cost_micro_usd >= 0);

comment on column private.index_jobs.cost_micro_usd is
'What the document''s vectors may still cost, held of its owner''s budget.';

create function private.embedding_cost(p_tokens bigint) returns bigint
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(ceil(p_tokens::numeric * coalesce(p.input, (s.embeddings ->> 'input')::bigint) / 1000000), 0)::bigint
  from private.settings as s
  left join private.model_prices as p
    on p.provider = s.embeddings ->> 'provider' and p.model = s.embeddings ->> 'model'
$$;

comment on function private.embedding_cost(bigint) is
'What the vectors of a text of so many tokens cost, in micro-dollars; 0 where the price is not known.';

create function private.hold_index_cost() returns trigger
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  new.cost_micro_usd := private.embedding_cost((
    select coalesce(sum(private.estimate_tokens(p.content)), 0)
    from private.document_passages as p
    where p.document_id = new.document_id and p.revision = new.revision
  )::bigint);
  return new;
end;
$$;

comment on function private.hold_index_cost() is
'Holds what a document''s vectors cost while they are waited for: its passages are stored before its job.';

create trigger index_jobs_hold_cost
before insert or update of revision on private.index_jobs
for each row execute function private.hold_index_cost();

create or replace function private.held_micro_usd(p_user_id uuid) returns bigint
language sql
stable
security invoker
set search_path = ''
as $$
  select (
    coalesce((select sum(r.cost_micro_usd) from private.reservations as r where r.user_id = p_user_id), 0)
    + coalesce((select sum(j.cost_micro_usd) from private.index_jobs as j where j.user_id = p_user_id), 0)
  )::bigint
$$;

create function public.charge_usage(p_charges jsonb) returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform private.settle(p_charges);
  -- what is paid is held no longer
  update private.index_jobs as j
  set cost_micro_usd = greatest(0, j.cost_micro_usd - c.cost)
  from (
    select c.document_id, sum(u.cost_micro_usd) as cost
    from jsonb_to_recordset(p_charges) as c (id uuid, document_id uuid)
    join private.usage_ledger as u on u.reply_id = c.id
    where c.document_id is not null
    group by c.document_id
  ) as c
  where j.document_id = c.document_id and c.cost is not null;
  return true;
end;
$$;

comment on function public.charge_usage(jsonb) is
'Charges what was called outside of replies: [{id, user_id, calls, document_id}], calls as private.settle takes them, '
'document_id where it was for a document that is being indexed. An id that was charged is not charged again. For the '
'service.';

drop function public.configure_limits(boolean, integer, integer, boolean);

create function public.configure_limits(
  p_require_premium boolean,
  p_requests_per_minute integer,
  p_tokens_per_minute integer,
  p_screen_input boolean,
  p_embeddings jsonb default null
) returns jsonb
language sql
volatile
security invoker
set search_path = ''
as $$
  update private.settings as s
  set
    require_premium = p_require_premium,
    requests_per_minute = p_requests_per_minute,
    tokens_per_minute = p_tokens_per_minute,
    screen_input = p_screen_input,
    embeddings = coalesce(p_embeddings, s.embeddings)
  where s.singleton
  returning to_jsonb(s) - 'singleton'
$$;

comment on function public.configure_limits(boolean, integer, integer, boolean, jsonb) is
'Sets the limits of every plan that names none of its own, and what documents are embedded with, {provider, model, '
'input}. Called by the API at its start with its environment; the last one to start is obeyed. For the service.';

create or replace function private.admit_request(p_kind text, p_charge boolean) returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  c_window constant interval := interval '60 seconds';
  v_user_id constant uuid := auth.uid();
  v_limits private.limits;
  v_step interval;
  v_full_at timestamptz;
begin
  if v_user_id is null then
    raise exception using errcode = 'PT401', message = 'unauthenticated', detail = 'A signed-in user is required.';
  end if;
  if p_kind is null or p_kind not in ('search', 'document', 'moderation') then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = 'kind: one of search, document, moderation.';
  end if;
  v_limits := private.limits_of(v_user_id);
  if p_kind <> 'moderation' then
    perform private.require_premium(v_limits);
    -- embeddings are paid as replies are
    if v_limits.monthly_budget_micro_usd is not null then
      perform pg_advisory_xact_lock(hashtextextended(v_user_id::text, 0));
      perform private.require_budget(v_user_id, v_limits);
    end if;
  end if;
  v_step := private.request_step(v_limits.requests_per_minute);

  if p_charge then
    insert into private.meters as m (user_id, kind, full_at)
    values (v_user_id, p_kind, clock_timestamp() + v_step)
    on conflict (user_id, kind) do update
    set full_at = greatest(m.full_at, clock_timestamp()) + v_step
    where greatest(m.full_at, clock_timestamp()) + v_step <= clock_timestamp() + c_window
    returning m.full_at into v_full_at;
  else
    -- of a user without a meter too: greatest passes over null
    select greatest(max(m.full_at), clock_timestamp()) into v_full_at
    from private.meters as m
    where m.user_id = v_user_id and m.kind = p_kind;
    if v_full_at + v_step > clock_timestamp() + c_window then
      v_full_at := null;
    end if;
  end if;

  if v_full_at is null then
    perform private.refuse(
      'requests', v_limits.requests_per_minute,
      (select m.full_at from private.meters as m where m.user_id = v_user_id and m.kind = p_kind)
      + v_step - c_window - clock_timestamp()
    );
  end if;
  return jsonb_build_object('requests', private.request_quota(v_limits.requests_per_minute, v_full_at));
end;
$$;

comment on function public.admit_request(text, boolean) is
'Charges the caller one request of a kind (search, document, moderation) and returns {requests: {limit, remaining, '
'reset}}; without p_charge it only tells whether one would be admitted, before work that is charged when it is done. '
'Errors: PT401 unauthenticated, PT403 premium_required and PT402 budget_exceeded (search, document), PT422 '
'invalid_request, PT429 rate_limited.';

revoke all on function private.embedding_cost(bigint) from public, anon, authenticated, service_role;
revoke all on function private.hold_index_cost() from public, anon, authenticated, service_role;
revoke all on function public.charge_usage(jsonb) from public, anon, authenticated;
revoke all on function public.configure_limits(boolean, integer, integer, boolean, jsonb) from public, anon, authenticated;
grant execute on function public.charge_usage(jsonb) to service_role;
grant execute on function public.configure_limits(boolean, integer, integer, boolean, jsonb) to service_role;
