-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function private.retire_documents(
  p_before timestamp with time zone,
  p_after bigint,
  p_dry_run boolean
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  c_documents constant integer := 1000;
  c_passages constant integer := 1000;
  v_last bigint;
  v_taken bigint;
  v_ids uuid[];
  v_more bigint;
begin
  with looked as (
    select d.* from public.documents as d
    where d.position > p_after
    order by d.position
    limit c_documents
  ), old as (
    select l.id, l.position, l.passages, sum(l.passages) over (order by l.position) as up_to
    from looked as l
    where l.updated_at < p_before
  )
  select
    (select max(l.position) from looked as l),
    max(o.position) filter (where o.up_to - o.passages < c_passages),
    array_agg(o.id) filter (where o.up_to - o.passages < c_passages),
    count(*) filter (where o.up_to - o.passages >= c_passages)
  into v_last, v_taken, v_ids, v_more
  from old as o;
  if v_more > 0 then
    v_last := v_taken;
  end if;
  if not p_dry_run then
    with gone as (
      delete from public.documents as d
      where d.id in (
        select o.id from public.documents as o where o.id = any(v_ids) and o.updated_at < p_before
        for update skip locked
      )
      returning d.id
    )
    select array_agg(g.id) into v_ids from gone as g;
  end if;
  return jsonb_build_object('rows', coalesce(cardinality(v_ids), 0), 'next', v_last::text);
end;
$$;

comment on function private.retire_documents(timestamp with time zone, bigint, boolean) is
'A step over the documents after p_after: those that were written or indexed last before p_before are deleted.';

grant execute on function private.retire_documents(timestamp with time zone, bigint, boolean) to service_role;
