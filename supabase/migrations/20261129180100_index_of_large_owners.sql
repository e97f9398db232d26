-- Before the code: searches use it from the next migration on.
create index concurrently embeddings_large_owner_idx on public.embeddings
using hnsw ((embedding::extensions.halfvec(1536)) extensions.halfvec_cosine_ops) with (ef_construction = 128)
where large_owner;
