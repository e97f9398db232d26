-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.retire_ledger(
  p_before timestamp with time zone,
  p_after uuid,
  p_dry_run boolean
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_rows constant integer := 5000;
  c_users constant integer := 500;
  v_user_id uuid := p_after;
  v_done uuid := p_after;
  v_rows bigint := 0;
  v_here bigint;
begin
  for _ in 1..c_users loop
    -- the next user: the index has the users in order, and no user's entries are read
    select l.user_id into v_user_id
    from private.usage_ledger as l
    where v_user_id is null or l.user_id > v_user_id
    order by l.user_id
    limit 1;
    if not found then
      return jsonb_build_object('rows', v_rows, 'next', null);
    end if;
    if p_dry_run then
      select count(*) into v_here from private.usage_ledger as l
      where l.user_id = v_user_id and l.created_at < p_before;
    else
      -- the entries become their sums in one statement
      with gone as (
        delete from private.usage_ledger as l
        where (l.reply_id, l.entry) in (
          select o.reply_id, o.entry from private.usage_ledger as o
          where o.user_id = v_user_id and o.created_at < p_before
          order by o.created_at
          limit c_rows - v_rows
        )
        returning l.*
      ), summed as (
        insert into private.usage_sums as s (
          month, kind, provider, model, entries, prompt_tokens, completion_tokens, cached_tokens, cost_micro_usd,
          unpriced_entries
        )
        select
          (date_trunc('month', g.created_at, 'UTC') at time zone 'UTC')::date as month,
          g.kind, coalesce(g.provider, '') as provider, coalesce(g.model, '') as model,
          count(*), sum(g.prompt_tokens), sum(g.completion_tokens), sum(g.cached_tokens),
          coalesce(sum(g.cost_micro_usd), 0), count(*) filter (where g.cost_micro_usd is null)
        from gone as g
        group by 1, 2, 3, 4
        order by 1, 2, 3, 4
        on conflict (month, kind, provider, model) do update
        set
          entries = s.entries + excluded.entries,
          prompt_tokens = s.prompt_tokens + excluded.prompt_tokens,
          completion_tokens = s.completion_tokens + excluded.completion_tokens,
          cached_tokens = s.cached_tokens + excluded.cached_tokens,
          cost_micro_usd = s.cost_micro_usd + excluded.cost_micro_usd,
          unpriced_entries = s.unpriced_entries + excluded.unpriced_entries
      )
      select count(*) into v_here from gone;
    end if;
    v_rows := v_rows + v_here;
    if v_rows >= c_rows and not p_dry_run then
      -- this user may have more
      return jsonb_build_object('rows', v_rows, 'next', coalesce(v_done, '00000000-0000-0000-0000-000000000000'));
    end if;
    v_done := v_user_id;
  end loop;
  return jsonb_build_object('rows', v_rows, 'next', v_done);
end;
$$;

comment on function private.retire_ledger(timestamp with time zone, uuid, boolean) is
'A step over the users after p_after: the entries of theirs that are older than p_before become sums in private.usage_sums.';

grant execute on function private.retire_ledger(timestamp with time zone, uuid, boolean) to service_role;
