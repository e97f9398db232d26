-- Before the code: it says which calls a reply has made. What the release before writes is read as it was.

-- A reply may make several calls, to several models, and a charge may be for something else than a reply.
alter table private.usage_ledger
add column kind text not null default 'reply' check (kind in ('reply', 'embedding', 'moderation'));

comment on column private.usage_ledger.kind is
'What the provider was called for. A turn that draws on documents has entries of kind embedding beside those of its reply.';
comment on column private.usage_ledger.reply_id is
'The reply; for an embedding or a check outside of a turn, an id of its own, which makes a repeated call harmless.';
comment on table private.usage_ledger is
'What each call of a provider used: for a reply, one sum a kind and model; the sum of its entries counts. Only ever '
'appended to, and kept when the reply, its conversation or its user is deleted: it holds no text, and the limits and '
'bills that stand on it must not go away with them.';

-- The indexes do not hold what the journal writes here twice a second: room on the page keeps the updates in place.
alter table private.reservations set (fillfactor = 50);

alter table private.reservations
add column calls jsonb check (jsonb_typeof(calls) = 'array'),
add column input_tokens integer not null default 0 check (input_tokens >= 0),
add column first_model jsonb check (jsonb_typeof(first_model) = 'object');

comment on column private.reservations.calls is
'The calls that were made for the reply, as the journal last told: see private.settle. Null before it has told anything.';
comment on column private.reservations.input_tokens is
'The estimate of the message and its history: what a call is charged with whose process died before it could say more.';
comment on column private.reservations.first_model is
'The model that a process began the turn with: {provider, model, input, cached, output}, its price in micro-dollars per '
'million tokens. Null for a turn that no process has taken up, such as one that a client began through the Data API.';

create or replace function private.settle(p_replies jsonb) returns void
language sql
volatile
security invoker
set search_path = ''
as $$
  -- in one order, here and in journal_write: calls that come to wait for each other's rows lose a second
  select from private.reservations as v
  where v.reply_id in (select f.id from jsonb_to_recordset(p_replies) as f (id uuid))
  order by v.reply_id
  for update;

  with settled as (
    select
      f.id, coalesce(f.user_id, v.user_id) as user_id, f.provider, f.model,
      jsonb_typeof(f.calls) is distinct from 'array' as summed,
      -- the release before says one sum, of the model that answered
      case
        when jsonb_typeof(f.calls) = 'array' then f.calls
        when f.prompt_tokens is not null and f.completion_tokens is not null then jsonb_build_array(jsonb_build_object(
          'provider', f.provider, 'model', f.model, 'prompt_tokens', f.prompt_tokens,
          'completion_tokens', f.completion_tokens, 'cached_tokens', f.cached_tokens,
          'cost_micro_usd', f.cost_micro_usd
        ))
      end as calls
    from jsonb_to_recordset(p_replies) as f (
      id uuid, user_id uuid, provider text, model text, calls jsonb,
      prompt_tokens integer, completion_tokens integer, cached_tokens integer, cost_micro_usd bigint
    )
    left join private.reservations as v on v.reply_id = f.id
  ), difference as (
    select
      t.id, t.user_id, t.kind, t.provider, t.model,
      sum(t.prompt_tokens) as prompt_tokens, sum(t.completion_tokens) as completion_tokens,
      sum(t.cached_tokens) as cached_tokens, sum(t.cost_micro_usd) as cost_micro_usd
    from (
      select
        s.id, s.user_id, coalesce(c.kind, 'reply') as kind, c.provider, c.model, c.prompt_tokens, c.completion_tokens,
        coalesce(c.cached_tokens, 0) as cached_tokens,
        -- of a turn's models the process knows the operator's prices, of embeddings only the catalog's
        coalesce(ceil(c.prompt_tokens::numeric * p.input / 1000000)::bigint, c.cost_micro_usd) as cost_micro_usd
      from settled as s
      cross join lateral jsonb_to_recordset(s.calls) as c (
        kind text, provider text, model text,
        prompt_tokens integer, completion_tokens integer, cached_tokens integer, cost_micro_usd bigint
      )
      left join private.model_prices as p on c.kind = 'embedding' and p.provider = c.provider and p.model = c.model
      union all
      select
        s.id, s.user_id, l.kind,
        case when s.summed then s.provider else l.provider end, case when s.summed then s.model else l.model end,
        -l.prompt_tokens, -l.completion_tokens, -l.cached_tokens,
        -l.cost_micro_usd
      from settled as s
      join private.usage_ledger as l on l.reply_id = s.id
      where s.calls is not null
    ) as t
    where t.user_id is not null
    group by t.id, t.user_id, t.kind, t.provider, t.model
  )
  insert into private.usage_ledger (
    reply_id, entry, user_id, kind, provider, model, prompt_tokens, completion_tokens, cached_tokens, cost_micro_usd
  )
  select
    d.id,
    (select count(*) from private.usage_ledger as l where l.reply_id = d.id)
    + row_number() over (partition by d.id order by d.kind, d.provider, d.model),
    d.user_id, d.kind, d.provider, d.model, d.prompt_tokens, d.completion_tokens, d.cached_tokens, d.cost_micro_usd
  from difference as d
  where (d.prompt_tokens, d.completion_tokens, d.cached_tokens, coalesce(d.cost_micro_usd, 0)) is distinct from (0, 0, 0, 0);

  delete from private.reservations as v
  using jsonb_to_recordset(p_replies) as f (id uuid)
  where v.reply_id = f.id;
$$;

comment on function private.settle(jsonb) is
'Enters what replies [{id, user_id, calls}] used and releases what was held for them. calls are all that were made for a '
'reply: [{kind, provider, model, prompt_tokens, completion_tokens, cached_tokens, cost_micro_usd}]; a reply without the '
'key has one, told by the same keys of its own. Only the difference to earlier entries of a kind and model is entered, so '
'a repeated call changes nothing; of two calls at the same time for one reply, one fails at the primary key and is '
'repeated by its caller.';
