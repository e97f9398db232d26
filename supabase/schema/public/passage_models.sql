-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.passage_models() returns text[]
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(array_agg(c.embedding_model order by c.passages desc, c.embedding_model), '{}')
  from private.passage_counts as c
  where
    c.user_id = (select auth.uid())
    and c.passages > 0
    -- the counts hold what is not whole yet, too: a document's first vectors, and those of the model it is moved to
    and coalesce(
      (
        select true from public.documents as d
        where d.embedding_model = c.embedding_model and d.user_id = c.user_id and d.revision is not null
        limit 1
      ),
      -- passages that somebody else than the indexer has written
      (
        select true from public.documents as d
        join public.embeddings as e on e.document_id = d.id and e.user_id = d.user_id
        where
          d.user_id = c.user_id and d.embedding_model is null and d.next_revision is null
          and e.embedding_model = c.embedding_model
        limit 1
      )
    )
$$;

comment on function public.passage_models() is
'The embedding models of the caller''s passages, as far as these are searched; that of the most passages first. Several while documents are moved from one to another. Only a vector that one of them made finds anything.';

grant execute on function public.passage_models() to authenticated;
