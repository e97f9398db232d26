-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER conversations_check_instructions BEFORE INSERT OR UPDATE OF instructions ON public.conversations FOR EACH ROW EXECUTE FUNCTION private.check_instructions()
-- CREATE TRIGGER user_settings_check_instructions BEFORE INSERT OR UPDATE OF instructions ON public.user_settings FOR EACH ROW EXECUTE FUNCTION private.check_instructions()
create or replace function private.check_instructions() returns trigger
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_characters constant integer := 8000;
begin
  if char_length(new.instructions) not between 1 and c_characters then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format('instructions: expected 1 to %s characters.', c_characters);
  end if;
  if new.instructions !~ '\S' then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = 'instructions: expected text, got only blanks.';
  end if;
  return new;
end;
$$;

comment on function private.check_instructions() is
'Trigger: refuses instructions before a constraint does, whose message would hold the row.';
