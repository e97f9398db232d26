-- Before the code: since the migration before this one no search uses it. Of an owner of more than 2,000 passages all are
-- ranked until the service has put them into the new index, some hundred in a second.
drop index concurrently public.embeddings_embedding_idx;
