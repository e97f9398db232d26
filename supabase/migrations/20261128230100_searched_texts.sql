-- Before the code: the words of titles and messages, beside them, so that a reply that grows is not indexed with each piece.
--
-- Each word begins with its owner and with a stretch of 2,048 of the owner's texts. A search reads stretch by stretch, the
-- newest first, until it has enough. It never comes across a word of somebody else: neither the number of their words nor what
-- they are changes its time, and no word is so common that all texts with it have to be read.
set local lock_timeout = '2s';

create table private.searched_texts (
  user_id uuid not null,
  -- counts the owner's texts, not without gaps and doubles; those from before the index are counted down from 0
  ordinal bigint not null,
  id bigint generated always as identity,
  message_id uuid references public.messages (id) on delete cascade,
  -- of a title
  conversation_id uuid references public.conversations (id) on delete cascade,
  written_at timestamptz not null,
  words tsvector not null,
  primary key (user_id, ordinal, id),
  check (num_nonnulls(message_id, conversation_id) = 1)
);

comment on table private.searched_texts is
'The words of titles and messages, for search_conversations. A text of very many different words has several rows.';

create index searched_texts_message_id_idx on private.searched_texts (message_id) where message_id is not null;
create index searched_texts_conversation_id_idx on private.searched_texts (conversation_id)
where conversation_id is not null;
-- without a list of what is pending, which each search of anybody would read to its end
create index searched_texts_words_idx on private.searched_texts using gin (words) with (fastupdate = off);

alter table private.searched_texts enable row level security;
alter table private.searched_texts force row level security;
create policy "Nobody reads or writes directly" on private.searched_texts
to authenticated using (false) with check (false);
revoke all on table private.searched_texts from public, anon, authenticated, service_role;
revoke all on sequence private.searched_texts_id_seq from public, anon, authenticated, service_role;

create function private.stretch_of(p_user_id uuid, p_stretch bigint) returns text
language sql
immutable
parallel safe
set search_path = ''
as $$
  select left(encode(uuid_send(p_user_id), 'base64'), 6) || p_stretch || ':'
$$;

comment on function private.stretch_of(uuid, bigint) is
'What the words of a stretch of a user''s texts begin with. Two users may share it: user_id must be compared, too.';

create function private.index_text(
  p_user_id uuid,
  p_message_id uuid,
  p_conversation_id uuid,
  p_text text,
  p_written_at timestamptz,
  p_older boolean default false
) returns void
language plpgsql
security invoker
set search_path = ''
as $$
declare
  -- a tsvector holds 1 MB of words
  c_most_bytes constant integer := 900000;
  c_piece constant integer := 50000;
  -- so many letters of a piece are those of the next, too, for the words that its beginning would cut
  c_shared constant integer := 100;

  v_words text[] := private.search_words(p_text);
  v_ordinal bigint;
  v_stretch text;
begin
  if p_message_id is not null then
    delete from private.searched_texts as t where t.message_id = p_message_id;
  else
    delete from private.searched_texts as t where t.conversation_id = p_conversation_id;
  end if;
  if v_words = '{}' then
    return;
  end if;

  if p_older then
    select t.ordinal - 1 into v_ordinal from private.searched_texts as t
    where t.user_id = p_user_id order by t.ordinal limit 1;
  else
    select t.ordinal + 1 into v_ordinal from private.searched_texts as t
    where t.user_id = p_user_id order by t.ordinal desc limit 1;
  end if;
  v_ordinal := coalesce(v_ordinal, case when p_older then -1 else 0 end);
  v_stretch := private.stretch_of(p_user_id, v_ordinal >> 11);

  insert into private.searched_texts (user_id, ordinal, message_id, conversation_id, written_at, words)
  select
    p_user_id, v_ordinal, p_message_id, p_conversation_id, p_written_at,
    (select array_to_tsvector(array_agg(v_stretch || w.word)) from unnest(p.words) as w (word))
  from (
    select v_words as words
    where octet_length(array_to_string(v_words, '')) + cardinality(v_words) * octet_length(v_stretch) <= c_most_bytes
    union all
    select private.search_words(substr(p_text, s.start, c_piece + c_shared))
    from generate_series(1, char_length(p_text), c_piece) as s (start)
    where octet_length(array_to_string(v_words, '')) + cardinality(v_words) * octet_length(v_stretch) > c_most_bytes
  ) as p
  where p.words <> '{}';
end;
$$;

comment on function private.index_text(uuid, uuid, uuid, text, timestamptz, boolean) is
'Replaces the words of a message, or of the title of a conversation. p_older: it is older than all that have been indexed.';

revoke all on function private.stretch_of(uuid, bigint) from public, anon, authenticated, service_role;
revoke all on function private.index_text(uuid, uuid, uuid, text, timestamptz, boolean)
from public, anon, authenticated, service_role;
