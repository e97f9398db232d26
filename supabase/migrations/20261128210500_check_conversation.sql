-- Before the code: what a constraint refuses stands in the server's log with its whole row. The release before sends nothing
-- that is refused here.
create function private.check_conversation() returns trigger
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

revoke all on function private.check_conversation() from public, anon, authenticated, service_role;

create trigger conversations_check
before insert or update of title, model on public.conversations
for each row execute function private.check_conversation();

create function private.check_idempotency_key() returns trigger
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

revoke all on function private.check_idempotency_key() from public, anon, authenticated, service_role;

create trigger idempotency_keys_check
before insert on private.idempotency_keys
for each row execute function private.check_idempotency_key();
