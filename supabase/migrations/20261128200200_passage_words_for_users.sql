-- Before the code: nobody calls this without a token. It computes a column of passages, which anon never writes.
revoke execute on function private.passage_words(jsonb, text) from anon;
