-- Before the code: the new table is empty until an operator retires entries of the ledger.

-- What entries of the ledger that have been retired came to. It names no user: how much somebody used long ago is theirs.
create table private.usage_sums (
  month date not null,
  kind text not null,
  provider text not null,
  model text not null,
  entries bigint not null,
  prompt_tokens bigint not null,
  completion_tokens bigint not null,
  cached_tokens bigint not null,
  cost_micro_usd bigint not null,
  unpriced_entries bigint not null,
  primary key (month, kind, provider, model)
);

comment on table private.usage_sums is
'Sums of the entries that were taken out of private.usage_ledger, of all users together. Kept for ever.';
comment on column private.usage_sums.month is 'The first day of the month, UTC.';
comment on column private.usage_sums.provider is 'Empty where the entries name none; model too.';
comment on column private.usage_sums.unpriced_entries is 'Entries without a known cost, which cost_micro_usd leaves out.';

alter table private.usage_sums enable row level security;
alter table private.usage_sums force row level security;

create policy "Nobody reads or writes directly" on private.usage_sums
for all to authenticated using (false) with check (false);

revoke all on table private.usage_sums from public, anon, authenticated, service_role;
grant select, insert, update on table private.usage_sums to service_role;
