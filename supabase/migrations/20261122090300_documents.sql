-- What a user has given to be searched. Rows are written by the service once the API has checked the upload.
create table public.documents (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  title text not null check (char_length(title) between 1 and 500),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  status text not null default 'pending' check (status in ('pending', 'indexing', 'ready', 'failed')),
  position bigint generated always as identity unique,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- target of the composite foreign key of embeddings
  unique (id, user_id)
);

comment on table public.documents is
'Documents of a user. Owners read and delete their own; the service indexes them.';
comment on column public.documents.status is 'pending, indexing, then ready or failed.';

create index documents_user_id_position_idx on public.documents (user_id, position desc);

create trigger documents_set_updated_at
before update on public.documents
for each row execute function private.set_updated_at();

alter table public.documents enable row level security;

create policy "Owners read their documents" on public.documents
for select to authenticated using (user_id = (select auth.uid()));

create policy "Nobody inserts documents directly" on public.documents
for insert to authenticated with check (false);

create policy "Nobody updates documents directly" on public.documents
for update to authenticated using (false) with check (false);

create policy "Owners delete their documents" on public.documents
for delete to authenticated using (user_id = (select auth.uid()));

revoke all on table public.documents from anon, authenticated, service_role;
grant select, delete on table public.documents to authenticated;
grant select, insert, update, delete on table public.documents to service_role;
