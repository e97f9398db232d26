-- How many passages each owner has under each embedding model: what a search chooses its plan by.
create table private.passage_counts (
  user_id uuid not null references auth.users (id) on delete cascade,
  embedding_model text not null,
  passages bigint not null check (passages >= 0),
  primary key (user_id, embedding_model)
)
-- updated with every batch: room on the page keeps the updates in place
with (fillfactor = 50);

comment on table private.passage_counts is
'Passages of an owner under an embedding model, kept by triggers. Searches read their caller''s rows.';

alter table private.passage_counts enable row level security;

create policy "Owners read their counts" on private.passage_counts
for select to authenticated using (user_id = (select auth.uid()));

revoke all on table private.passage_counts from public, anon, authenticated, service_role;
grant select on table private.passage_counts to authenticated;

create function private.count_added_passages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into private.passage_counts as c (user_id, embedding_model, passages)
  select a.user_id, a.embedding_model, count(*)
  from added as a
  group by a.user_id, a.embedding_model
  -- always in this order, so that two batches never wait for each other in a circle
  order by a.user_id, a.embedding_model
  on conflict (user_id, embedding_model) do update set passages = c.passages + excluded.passages;
  return null;
end;
$$;

comment on function private.count_added_passages() is 'Trigger: adds new passages to their owners'' counts.';

create function private.count_removed_passages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update private.passage_counts as c
  set passages = c.passages - r.passages
  from (
    select g.user_id, g.embedding_model, count(*) as passages
    from removed as g
    group by g.user_id, g.embedding_model
  ) as r
  where c.user_id = r.user_id and c.embedding_model = r.embedding_model;
  return null;
end;
$$;

comment on function private.count_removed_passages() is 'Trigger: takes deleted passages from their owners'' counts.';

revoke all on function private.count_added_passages() from public, anon, authenticated, service_role;
revoke all on function private.count_removed_passages() from public, anon, authenticated, service_role;

create trigger embeddings_count_added
after insert on public.embeddings
referencing new table as added
for each statement execute function private.count_added_passages();

create trigger embeddings_count_removed
after delete on public.embeddings
referencing old table as removed
for each statement execute function private.count_removed_passages();
