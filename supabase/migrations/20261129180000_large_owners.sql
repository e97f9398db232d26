-- Before the code: the release before neither reads nor writes the columns; triggers fill them for it too.
-- Passages of owners who have many are marked, so that an index can have these alone: those of all others are ranked, and
-- an index that has them as well is larger, slower to write, and walks past them.
set local lock_timeout = '2s';

alter table public.embeddings add column large_owner boolean not null default false;

comment on column public.embeddings.large_owner is
'Whether the passage is in the HNSW index. It is when its owner has more passages than are ranked; triggers and '
'private.index_large_owners see to it.';

alter table private.passage_counts add column in_index bigint not null default 0;

comment on column private.passage_counts.in_index is
'How many of the passages are in the HNSW index. A search uses it when all are.';

create function private.ranked_passages() returns integer
language sql
immutable
parallel safe
set search_path = ''
as $$
  select 2000
$$;

comment on function private.ranked_passages() is
'An owner of so many passages, or fewer, is always searched by ranking, so that recall is exactly 1.';

revoke all on function private.ranked_passages() from public, anon, service_role;
grant execute on function private.ranked_passages() to authenticated;

create function private.mark_passage() returns trigger
language plpgsql
-- definer: whoever writes a passage need not be let into this schema for it
security definer
set search_path = ''
as $$
begin
  new.large_owner := exists (
    select from private.passage_counts as c
    where c.user_id = new.user_id and c.embedding_model = new.embedding_model and c.in_index > 0
  );
  return new;
end;
$$;

comment on function private.mark_passage() is
'Trigger: a new passage of an owner whose passages are in the HNSW index is in it, too.';

create or replace function private.count_added_passages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  insert into private.passage_counts as c (user_id, embedding_model, passages, in_index)
  select a.user_id, a.embedding_model, count(*), count(*) filter (where a.large_owner)
  from added as a
  group by a.user_id, a.embedding_model
  -- always in this order, so that two batches never wait for each other in a circle
  order by a.user_id, a.embedding_model
  on conflict (user_id, embedding_model) do update set
    passages = c.passages + excluded.passages,
    in_index = c.in_index + excluded.in_index;
  return null;
end;
$$;

create or replace function private.count_removed_passages() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update private.passage_counts as c
  set passages = c.passages - r.passages, in_index = c.in_index - r.in_index
  from (
    select
      g.user_id, g.embedding_model, count(*) as passages,
      count(*) filter (where g.large_owner) as in_index
    from removed as g
    group by g.user_id, g.embedding_model
  ) as r
  where c.user_id = r.user_id and c.embedding_model = r.embedding_model;
  return null;
end;
$$;

revoke all on function private.mark_passage() from public, anon, authenticated, service_role;

create trigger embeddings_mark
before insert on public.embeddings
for each row execute function private.mark_passage();

-- whose passages are to be put into the index: nearly always nobody
create index passage_counts_waiting_idx on private.passage_counts (user_id)
where passages > 2000 and in_index < passages;
