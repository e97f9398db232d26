-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.index_text(
  p_user_id uuid,
  p_message_id uuid,
  p_conversation_id uuid,
  p_text text,
  p_written_at timestamp with time zone,
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

comment on function private.index_text(uuid, uuid, uuid, text, timestamp with time zone, boolean) is
'Replaces the words of a message, or of the title of a conversation. p_older: it is older than all that have been indexed.';
