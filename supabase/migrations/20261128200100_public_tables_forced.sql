-- Before the code: row level security holds for the owner of the public tables too, unless the role passes it (postgres
-- does). Should they ever belong to another role, its functions see what their caller may see.
set local lock_timeout = '2s';

alter table public.conversations force row level security;
alter table public.messages force row level security;
alter table public.documents force row level security;
alter table public.embeddings force row level security;
alter table public.entitlements force row level security;
