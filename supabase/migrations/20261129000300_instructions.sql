-- Before the code: it reads and writes instructions. The release before does neither.
set local lock_timeout = '2s';

alter table public.conversations add column instructions text;
alter table public.conversations
add constraint conversations_instructions_check check (char_length(instructions) between 1 and 8000) not valid;

comment on column public.conversations.instructions is
'What its user wants of every reply in this conversation: a part of the system prompt, after the operator''s. Null: the user''s default, see user_settings.';

grant insert (instructions), update (instructions) on table public.conversations to authenticated;

-- What a user has chosen for all conversations. Owners write it, through the API or with SQL.
create table public.user_settings (
  user_id uuid primary key default auth.uid() references auth.users (id) on delete cascade,
  instructions text check (char_length(instructions) between 1 and 8000),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

comment on table public.user_settings is 'What users have chosen for all of their conversations.';
comment on column public.user_settings.instructions is
'The instructions of conversations that have none of their own, or null.';

alter table public.user_settings enable row level security;
alter table public.user_settings force row level security;

create policy "Users read their settings" on public.user_settings
for select to authenticated using (user_id = (select auth.uid()));

create policy "Users make settings of their own" on public.user_settings
for insert to authenticated with check (user_id = (select auth.uid()));

create policy "Users change their settings" on public.user_settings
for update to authenticated
using (user_id = (select auth.uid()))
with check (user_id = (select auth.uid()));

create policy "Users delete their settings" on public.user_settings
for delete to authenticated using (user_id = (select auth.uid()));

revoke all on table public.user_settings from anon, authenticated, service_role;
grant select, delete on table public.user_settings to authenticated;
grant insert (user_id, instructions), update (instructions) on table public.user_settings to authenticated;
grant select, insert, update, delete on table public.user_settings to service_role;

create trigger user_settings_set_updated_at
before update on public.user_settings
for each row execute function private.set_updated_at();

create function private.check_instructions() returns trigger
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

revoke all on function private.check_instructions() from public, anon, authenticated, service_role;

create trigger conversations_check_instructions
before insert or update of instructions on public.conversations
for each row execute function private.check_instructions();

create trigger user_settings_check_instructions
before insert or update of instructions on public.user_settings
for each row execute function private.check_instructions();

create function public.save_settings(p_instructions text) returns jsonb
language sql
security invoker
set search_path = ''
as $$
  insert into public.user_settings as s (instructions)
  values (p_instructions)
  on conflict (user_id) do update set instructions = excluded.instructions
  returning to_jsonb(s)
$$;

comment on function public.save_settings(text) is
'Stores the caller''s settings: the instructions of conversations that have none of their own; null removes them. Returns the row. Error: PT422 invalid_request.';

revoke all on function public.save_settings(text) from public, anon, service_role;
grant execute on function public.save_settings(text) to authenticated;

create function private.instructions_of(p_conversation public.conversations) returns text
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(
    p_conversation.instructions,
    (select s.instructions from public.user_settings as s where s.user_id = p_conversation.user_id)
  )
$$;

comment on function private.instructions_of(public.conversations) is
'The instructions of a conversation''s turns: its own, else its user''s default, else null.';

revoke all on function private.instructions_of(public.conversations)
from public, anon, authenticated, service_role;
