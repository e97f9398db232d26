-- Who may use what. Written by the service alone: a user who could write here would grant themselves a plan.
create table public.entitlements (
  user_id uuid primary key references auth.users (id) on delete cascade,
  plan text not null check (char_length(plan) between 1 and 50),
  valid_until timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

comment on table public.entitlements is
'A user''s plan. Owners read their own; the service alone writes.';
comment on column public.entitlements.valid_until is 'The moment the plan ends, or null for no end.';

create trigger entitlements_set_updated_at
before update on public.entitlements
for each row execute function private.set_updated_at();

alter table public.entitlements enable row level security;

create policy "Users read their own entitlement" on public.entitlements
for select to authenticated using (user_id = (select auth.uid()));

create policy "Nobody grants entitlements directly" on public.entitlements
for insert to authenticated with check (false);

create policy "Nobody changes entitlements directly" on public.entitlements
for update to authenticated using (false) with check (false);

create policy "Nobody deletes entitlements directly" on public.entitlements
for delete to authenticated using (false);

revoke all on table public.entitlements from anon, authenticated, service_role;
grant select on table public.entitlements to authenticated;
grant select, insert, update, delete on table public.entitlements to service_role;
