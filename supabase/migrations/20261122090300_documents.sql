-- What a user has given to be searched. Rows are made by create_document and kept up to date by the service's indexer.
create table public.documents (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  title text not null check (char_length(title) between 1 and 500),
  metadata jsonb not null default '{}'
  check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 4096),
  media_type text not null default 'text/plain' check (char_length(media_type) between 1 and 100),
  content_hash text check (char_length(content_hash) between 1 and 128),
  status text not null default 'pending' check (status in ('pending', 'indexing', 'ready', 'failed')),
  passages integer not null default 0 check (passages >= 0),
  indexed integer not null default 0 check (indexed >= 0),
  error text check (char_length(error) <= 500),
  embedding_model text,
  revision bigint,
  next_revision bigint,
  position bigint generated always as identity unique,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- target of the composite foreign key of embeddings
  unique (id, user_id),
  -- the same content is one document, however often it is sent
  unique (user_id, content_hash)
);

comment on table public.documents is
'Documents of a user. Owners read and delete their own, and create them with create_document; the service indexes them.';
comment on column public.documents.content_hash is 'Of the content as it was sent; the same content of a user is one document.';
comment on column public.documents.status is 'pending, indexing, then ready or failed.';
comment on column public.documents.passages is 'How many passages the content has.';
comment on column public.documents.indexed is 'How many of them have their vector yet.';
comment on column public.documents.error is 'Why indexing failed, in words for the owner.';
comment on column public.documents.embedding_model is 'The model of the vectors that are searched, once there are any.';
comment on column public.documents.revision is 'The passages that are searched: those with this revision. Null before the first is whole.';
comment on column public.documents.next_revision is
'The passages that are being indexed, or moved to another embedding model, which no search returns yet. They take the place of '
'the others all at once.';

create index documents_user_id_position_idx on public.documents (user_id, position desc);
-- every search asks which revisions it must not see; hardly ever are there any
create index documents_user_id_unfinished_idx on public.documents (user_id) where next_revision is not null;
create index documents_embedding_model_idx on public.documents (embedding_model, user_id);

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
revoke all on sequence public.documents_position_seq from anon, authenticated, service_role;
grant select, delete on table public.documents to authenticated;
grant select, insert, update, delete on table public.documents to service_role;
