-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.passages_to_reembed(
  p_model text,
  p_limit integer
) returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  v_document public.documents;
  v_passages jsonb;
begin
  -- what a move to yet another model, given up since, has left
  with moved_back as (
    update public.documents as d
    set next_revision = null
    where d.embedding_model = p_model and d.next_revision is not null and d.status in ('ready', 'failed')
    returning d.id, d.revision
  )
  delete from public.embeddings as e
  using moved_back as d
  where e.document_id = d.id and e.revision <> d.revision;

  -- one owner after the other, so that each has two models for as short as possible; a document that is being replaced
  -- gets its model with its new content
  select * into v_document from public.documents as d
  where d.revision is not null and d.embedding_model <> p_model and d.status in ('ready', 'failed')
  order by d.user_id, d.id
  limit 1
  for no key update;
  if not found then
    return null;
  end if;
  if v_document.next_revision is null then
    update public.documents as d set next_revision = nextval('private.revisions')
    where d.id = v_document.id
    returning * into v_document;
  end if;

  select coalesce(jsonb_agg(jsonb_build_object('passage', n.passage, 'content', n.content)), '[]') into v_passages
  from (
    select e.passage, e.content
    from public.embeddings as e
    where
      e.document_id = v_document.id and e.user_id = v_document.user_id
      and e.revision = v_document.revision and e.embedding_model = v_document.embedding_model
      and not exists (
        select from public.embeddings as f
        where
          f.document_id = v_document.id and f.user_id = v_document.user_id
          and f.revision = v_document.next_revision and f.passage = e.passage and f.embedding_model = p_model
      )
    order by e.passage
    limit least(greatest(p_limit, 1), 1000)
  ) as n;
  return jsonb_build_object(
    'document_id', v_document.id, 'revision', v_document.next_revision, 'passages', v_passages
  );
end;
$$;

comment on function public.passages_to_reembed(text, integer) is
'The next document whose vectors are not p_model''s: {document_id, revision: of the new vectors, passages: those without one yet, at most p_limit (1 to 1,000) of [{passage, content}]}. Null when there is none. For the service.';

grant execute on function public.passages_to_reembed(text, integer) to service_role;
