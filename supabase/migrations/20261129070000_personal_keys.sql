-- Before the code: it makes, checks and revokes keys with these functions. The release before has no keys.
create table private.personal_keys (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  name text not null check (char_length(name) between 1 and 100),
  hash bytea not null unique check (octet_length(hash) = 32),
  hint text not null check (hint ~ '^parley_[0-9A-Za-z]{4}$'),
  scope text not null default 'completions' check (scope in ('completions')),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  last_used_at timestamptz
);

comment on table private.personal_keys is
'Keys of users for clients that hold one string and cannot refresh a token. A key that is revoked is deleted.';
comment on column private.personal_keys.hash is 'SHA-256 of the key, which has 256 random bits and is stored nowhere.';
comment on column private.personal_keys.hint is 'How the key begins, so that its owner knows which one it is.';
comment on column private.personal_keys.scope is 'What the key opens. completions: the OpenAI-compatible interface.';
comment on column private.personal_keys.last_used_at is 'To the minute: a key that is used often is not written each time.';

create index personal_keys_user_id_idx on private.personal_keys (user_id, created_at);

alter table private.personal_keys enable row level security;
alter table private.personal_keys force row level security;

create policy "Owners read their keys" on private.personal_keys
for select to authenticated using (user_id = (select auth.uid()));

revoke all on table private.personal_keys from public, anon, authenticated, service_role;

create function private.key_view(p_key private.personal_keys) returns jsonb
language sql
immutable
security invoker
set search_path = ''
as $$ select to_jsonb(p_key) - 'hash' - 'user_id' $$;

comment on function private.key_view(private.personal_keys) is
'A key as its owner sees it: {id, name, hint, scope, created_at, expires_at, last_used_at}.';

create function private.add_key(p_user_id uuid, p_name text, p_hash text, p_hint text, p_expires_at timestamptz)
returns jsonb
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

comment on function private.add_key(uuid, text, text, text, timestamptz) is
'Adds a key of this user. See public.create_key.';

create function private.list_keys(p_user_id uuid) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce(jsonb_agg(private.key_view(k) order by k.created_at desc, k.id), '[]')
  from private.personal_keys as k
  where k.user_id = p_user_id
$$;

comment on function private.list_keys(uuid) is 'The keys of this user, the newest first, as private.key_view shows them.';

-- users: only their own, by their token
create function private.create_key(p_name text, p_hash text, p_hint text, p_expires_at timestamptz) returns jsonb
language sql
security definer
set search_path = ''
as $$ select private.add_key(auth.uid(), p_name, p_hash, p_hint, p_expires_at) $$;

create function private.my_keys() returns jsonb
language sql
stable
security definer
set search_path = ''
as $$ select private.list_keys(auth.uid()) $$;

create function private.revoke_key(p_key_id uuid) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
  delete from private.personal_keys as k where k.id = p_key_id and k.user_id = auth.uid();
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such key.';
  end if;
  return true;
end;
$$;

comment on function private.create_key(text, text, text, timestamptz) is 'See public.create_key.';
comment on function private.my_keys() is 'See public.my_keys.';
comment on function private.revoke_key(uuid) is 'See public.revoke_key.';

create function public.create_key(p_name text, p_hash text, p_hint text, p_expires_at timestamptz default null)
returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.create_key(p_name, p_hash, p_hint, p_expires_at) $$;

create function public.my_keys() returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$ select private.my_keys() $$;

create function public.revoke_key(p_key_id uuid) returns boolean
language sql
security invoker
set search_path = ''
as $$ select private.revoke_key(p_key_id) $$;

comment on function public.create_key(text, text, text, timestamptz) is
'Adds a key of the caller, who has it already: p_hash is SHA-256 of it in hexadecimal, p_hint its first 11 characters. Returns {id, name, hint, scope, created_at, expires_at, last_used_at}. Errors: PT422 invalid_request (an end that is past or more than 366 days ahead, a name), PT403 limit_reached (20 keys).';
comment on function public.my_keys() is 'The keys of the caller, the newest first, without their hashes.';
comment on function public.revoke_key(uuid) is 'Deletes a key of the caller, for good. Returns true. Error: PT404 not_found.';

-- the service: whose key a request carries
create function private.check_key(p_hash text) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_key private.personal_keys;
begin
  select k.* into v_key
  from private.personal_keys as k
  join auth.users as u on u.id = k.user_id
  where
    k.hash = decode(p_hash, 'hex')
    and (k.expires_at is null or k.expires_at > now())
    and (u.banned_until is null or u.banned_until <= now())
    and u.deleted_at is null;
  if not found then
    return null;
  end if;
  if v_key.last_used_at is null or v_key.last_used_at < now() - interval '1 minute' then
    -- another replica that writes it at this moment writes the same
    update private.personal_keys as k set last_used_at = now()
    where k.id = (select o.id from private.personal_keys as o where o.id = v_key.id for no key update skip locked);
  end if;
  return jsonb_build_object('key_id', v_key.id, 'user_id', v_key.user_id, 'expires_at', extract(epoch from v_key.expires_at));
end;
$$;

comment on function private.check_key(text) is 'See public.check_key.';

create function public.check_key(p_hash text) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.check_key(p_hash) $$;

comment on function public.check_key(text) is
'Whose key has this hash (SHA-256 in hexadecimal): {key_id, user_id, expires_at: seconds since 1970, or null}, and its last use is noted, to the minute. Null for a key that does not exist, has expired or was revoked, and for one of a user who is banned or deleted. For the service.';

-- the operator
create function private.delete_key(p_key_id uuid) returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_key private.personal_keys;
begin
  delete from private.personal_keys as k where k.id = p_key_id returning * into v_key;
  if not found then
    raise exception using errcode = 'PT404', message = 'not_found', detail = 'No such key.';
  end if;
  return private.key_view(v_key);
end;
$$;

comment on function private.delete_key(uuid) is 'See public.admin_revoke_key.';

create function public.admin_create_key(
  p_email text,
  p_name text,
  p_hash text,
  p_hint text,
  p_expires_at timestamptz default null
) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.add_key(private.user_by_email(p_email), p_name, p_hash, p_hint, p_expires_at) $$;

create function public.admin_keys(p_email text) returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$ select private.list_keys(private.user_by_email(p_email)) $$;

create function public.admin_revoke_key(p_key_id uuid) returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.delete_key(p_key_id) $$;

comment on function public.admin_create_key(text, text, text, text, timestamptz) is
'Adds a key of the user with this e-mail address, as public.create_key does. Error also: PT404 not_found. For the service.';
comment on function public.admin_keys(text) is
'The keys of the user with this e-mail address, as public.my_keys lists them. Error: PT404 not_found. For the service.';
comment on function public.admin_revoke_key(uuid) is
'Deletes a key of whatever user, for good, and returns it as public.my_keys lists it. Error: PT404 not_found. For the service.';

revoke all on function
private.key_view(private.personal_keys),
private.add_key(uuid, text, text, text, timestamptz),
private.list_keys(uuid),
private.create_key(text, text, text, timestamptz),
private.my_keys(),
private.revoke_key(uuid),
private.check_key(text),
private.delete_key(uuid),
public.create_key(text, text, text, timestamptz),
public.my_keys(),
public.revoke_key(uuid),
public.check_key(text),
public.admin_create_key(text, text, text, text, timestamptz),
public.admin_keys(text),
public.admin_revoke_key(uuid)
from public, anon, authenticated, service_role;

grant execute on function private.create_key(text, text, text, timestamptz) to authenticated;
grant execute on function private.my_keys() to authenticated;
grant execute on function private.revoke_key(uuid) to authenticated;
grant execute on function public.create_key(text, text, text, timestamptz) to authenticated;
grant execute on function public.my_keys() to authenticated;
grant execute on function public.revoke_key(uuid) to authenticated;
grant execute on function private.add_key(uuid, text, text, text, timestamptz) to service_role;
grant execute on function private.list_keys(uuid) to service_role;
grant execute on function private.check_key(text) to service_role;
grant execute on function private.delete_key(uuid) to service_role;
grant execute on function public.check_key(text) to service_role;
grant execute on function public.admin_create_key(text, text, text, text, timestamptz) to service_role;
grant execute on function public.admin_keys(text) to service_role;
grant execute on function public.admin_revoke_key(uuid) to service_role;
