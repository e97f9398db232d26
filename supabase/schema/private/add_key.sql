-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.add_key(
  p_user_id uuid,
  p_name text,
  p_hash text,
  p_hint text,
  p_expires_at timestamp with time zone
) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  c_keys constant integer := 20;
  c_longest_days constant integer := 366;
  c_name_characters constant integer := 100;
  v_key private.personal_keys;
begin
  if p_user_id is null then
    raise exception using errcode = 'PT401', message = 'unauthenticated', detail = 'A signed-in user is required.';
  end if;
  if p_name is null or char_length(p_name) > c_name_characters or p_name !~ '\S' then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format('name: expected 1 to %s characters, not only blanks.', c_name_characters);
  end if;
  if p_expires_at <= now() or p_expires_at > now() + make_interval(days => c_longest_days) then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format(
        'expires_at: expected a time within the next %s days; leave it out for a key without an end.', c_longest_days
      );
  end if;
  if p_hash is null or p_hash !~ '^[0-9a-f]{64}$' or p_hint is null or p_hint !~ '^parley_[0-9A-Za-z]{4}$' then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = 'p_hash: expected SHA-256 of the key in hexadecimal; p_hint: the first 11 characters of the key.';
  end if;
  -- two at once are counted one after the other
  perform pg_advisory_xact_lock(hashtextextended(p_user_id::text, 0));
  -- the same call once more, because its answer was lost on the way
  select * into v_key from private.personal_keys as k where k.hash = decode(p_hash, 'hex') and k.user_id = p_user_id;
  if found then
    return private.key_view(v_key);
  end if;
  if (select count(*) from private.personal_keys as k where k.user_id = p_user_id) >= c_keys then
    raise exception using errcode = 'PT403', message = 'limit_reached',
      detail = format('A user has at most %s keys, expired ones included; revoke one first.', c_keys);
  end if;
  insert into private.personal_keys (user_id, name, hash, hint, expires_at)
  values (p_user_id, p_name, decode(p_hash, 'hex'), p_hint, p_expires_at)
  returning * into v_key;
  return private.key_view(v_key);
end;
$$;

comment on function private.add_key(uuid, text, text, text, timestamp with time zone) is
'Adds a key of this user. See public.create_key.';

grant execute on function private.add_key(uuid, text, text, text, timestamp with time zone) to service_role;
