-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.passage_words(
  p_metadata jsonb,
  p_content text
) returns tsvector
language sql
immutable
parallel safe
security definer
set search_path = ''
as $$
  select to_tsvector(
    'pg_catalog.english',
    -- each letter of an unspaced script is a word, and a phrase of them finds any word
    regexp_replace(
      private.plain_words(left(coalesce(p_metadata ->> 'heading', ''), 1000) || ' ' || p_content),
      '([' || private.unspaced_letters(2) || private.unspaced_letters(3) || '])', ' \1 ', 'g'
    )
  )
$$;

comment on function private.passage_words(jsonb, text) is
'The words of a passage''s heading and content.';

grant execute on function private.passage_words(jsonb, text) to authenticated, service_role;
