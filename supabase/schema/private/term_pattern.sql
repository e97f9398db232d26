-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.term_pattern(
  p_term private.search_term
) returns text
language sql
stable
security definer
set search_path = ''
as $$
  select case
    when (p_term).unspaced then private.letters_pattern((p_term).letters)
    when (p_term).letters ~ '^.(plusplus|sharp)$' then format(
      '(?<![A-Za-z0-9])%s%s',
      private.letter_pattern(left((p_term).letters, 1)), case when (p_term).letters ~ 'sharp$' then '#' else '\+\+' end
    )
    else
      -- where a word begins; also after a script without blanks
      '(?<![^' || private.between_words() || private.unspaced_letters(2) || private.unspaced_letters(3) || '])'
      || private.letters_pattern((p_term).letters)
      -- one letter is a word of its own
      || case when char_length((p_term).letters) = 1
        then '(?![^' || private.between_words() || private.unspaced_letters(2) || private.unspaced_letters(3) || '])'
        else ''
      end
  end
$$;

comment on function private.term_pattern(private.search_term) is
'A regular expression for a term of a query in a text as it was written.';
