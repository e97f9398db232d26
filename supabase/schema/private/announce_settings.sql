-- Written by `make schema` from the migrations: to change it, add a migration.

-- CREATE TRIGGER user_settings_announce AFTER INSERT OR DELETE OR UPDATE ON public.user_settings FOR EACH ROW EXECUTE FUNCTION private.announce_settings()
create or replace function private.announce_settings() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if old.instructions is distinct from new.instructions then
    perform realtime.send(
      jsonb_build_object('updated_at', now()), 'settings.updated', 'user:' || coalesce(new.user_id, old.user_id), true
    )
    -- when a user is deleted there is nobody to tell
    from auth.users as u where u.id = coalesce(new.user_id, old.user_id);
  end if;
  return null;
end;
$$;

comment on function private.announce_settings() is
'Trigger: settings.updated, when a user''s default instructions are others.';
