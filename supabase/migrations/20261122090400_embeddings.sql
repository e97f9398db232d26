-- Passages of documents and their vectors. The owner stands in each row, so that row level security needs no join.
create table public.embeddings (
  id uuid primary key default gen_random_uuid(),
  document_id uuid not null,
  user_id uuid not null references auth.users (id) on delete cascade,
  revision bigint not null default 0,
  passage integer not null check (passage >= 0),
  content text not null check (char_length(content) between 1 and 100000),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  embedding extensions.vector(1536) not null,
  embedding_model text not null check (char_length(embedding_model) between 1 and 200),
  created_at timestamptz not null default now(),
  fts tsvector generated always as (
    to_tsvector('english', left(coalesce(metadata ->> 'heading', ''), 1000) || ' ' || content)
  ) stored,
  foreign key (document_id, user_id) references public.documents (id, user_id) on delete cascade,
  unique (document_id, user_id, revision, passage, embedding_model)
);

-- A vector stands in its row's own page, uncompressed: it is what a search reads of each passage, and fetching it from
-- a TOAST table makes an exact scan four times as slow. All else is fetched for the passages that are returned only.
alter table public.embeddings alter column embedding set storage plain;
alter table public.embeddings alter column content set storage external;
alter table public.embeddings alter column metadata set storage main;

comment on table public.embeddings is
'Passages of documents with their vectors. Owners read their own; the service writes them.';
comment on column public.embeddings.revision is 'Of the document; see documents.revision.';
comment on column public.embeddings.passage is 'Place of the passage in its document, from 0.';
comment on column public.embeddings.embedding is '1,536 dimensions; shorter vectors are padded with zeros, which keeps the cosine.';
comment on column public.embeddings.metadata is
'Where the passage stands in its document (heading, page, start, end), beside the document''s own metadata.';
comment on column public.embeddings.fts is 'The words of heading and content, for search_passages.';
comment on column public.embeddings.embedding_model is 'The model that made the vector; only vectors of one model are compared.';

-- an owner's passages, for the exact scan
create index embeddings_user_id_embedding_model_idx on public.embeddings (user_id, embedding_model);

-- everybody's passages, for large owners: at half precision, since what it finds is ranked again by the vectors proper
create index embeddings_embedding_idx on public.embeddings
using hnsw ((embedding::extensions.halfvec(1536)) extensions.halfvec_cosine_ops) with (ef_construction = 128);

-- an owner's passages with a word
create extension if not exists btree_gin with schema extensions;
create index embeddings_user_id_fts_idx on public.embeddings using gin (user_id, fts);

alter table public.embeddings enable row level security;

create policy "Owners read their passages" on public.embeddings
for select to authenticated using (user_id = (select auth.uid()));

create policy "Nobody inserts passages directly" on public.embeddings
for insert to authenticated with check (false);

create policy "Nobody updates passages directly" on public.embeddings
for update to authenticated using (false) with check (false);

create policy "Nobody deletes passages directly" on public.embeddings
for delete to authenticated using (false);

revoke all on table public.embeddings from anon, authenticated, service_role;
grant select on table public.embeddings to authenticated;
grant select, insert, update, delete on table public.embeddings to service_role;
