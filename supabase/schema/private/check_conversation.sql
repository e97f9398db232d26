-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER conversations_check BEFORE INSERT OR UPDATE OF title, model ON public.conversations FOR EACH ROW EXECUTE FUNCTION private.check_conversation()
create or replace function private.check_conversation() returns trigger
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_title_characters constant integer := 200;
  c_model_characters constant integer := 100;
begin
  if char_length(new.title) not between 1 and c_title_characters then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format('title: expected 1 to %s characters.', c_title_characters);
  end if;
  if char_length(new.model) not between 1 and c_model_characters then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format('model: expected 1 to %s characters.', c_model_characters);
  end if;
  return new;
end;
$$;

comment on function private.check_conversation() is
'Trigger: refuses a title or a model before a constraint does, whose message would hold the row.';
