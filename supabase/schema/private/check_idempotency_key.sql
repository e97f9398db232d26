-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER idempotency_keys_check BEFORE INSERT ON private.idempotency_keys FOR EACH ROW EXECUTE FUNCTION private.check_idempotency_key()
create or replace function private.check_idempotency_key() returns trigger
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_key_characters constant integer := 255;
  c_hash_characters constant integer := 128;
begin
  if char_length(new.key) not between 1 and c_key_characters then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format('p_idempotency_key: expected 1 to %s characters.', c_key_characters);
  end if;
  if char_length(new.request_hash) > c_hash_characters then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format('p_request_hash: expected at most %s characters.', c_hash_characters);
  end if;
  return new;
end;
$$;

comment on function private.check_idempotency_key() is
'Trigger: refuses a key or a hash before a constraint does, whose message would hold the row.';
