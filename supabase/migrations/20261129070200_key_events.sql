-- Before the code: which calls the functions that change keys. The release before listens to neither event.
create function private.announce_key() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if tg_op = 'INSERT' then
    perform realtime.send(
      jsonb_build_object(
        'key_id', new.id, 'name', new.name, 'hint', new.hint, 'scope', new.scope,
        'created_at', new.created_at, 'expires_at', new.expires_at
      ),
      'key.created', 'user:' || new.user_id, true
    );
  elsif exists (select from auth.users as u where u.id = old.user_id) then
    -- else the user is being deleted, and there is nobody to tell
    perform realtime.send(jsonb_build_object('key_id', old.id), 'key.revoked', 'user:' || old.user_id, true);
  end if;
  return null;
end;
$$;

comment on function private.announce_key() is 'Trigger: key.created and key.revoked, for the devices of the owner.';

revoke all on function private.announce_key() from public, anon, authenticated, service_role;

create trigger personal_keys_announce
after insert or delete on private.personal_keys
for each row execute function private.announce_key();
