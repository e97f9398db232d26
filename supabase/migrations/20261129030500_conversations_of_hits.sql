-- Before the code: nothing of it changes; the conversation of each hit is looked up by its id, not among all of the user's.
create or replace function public.search_conversations(
  query text,
  match_count integer default 20,
  after text default null
) returns table (
  conversation jsonb,
  message_id uuid,
  role text,
  snippet text,
  written_at timestamp with time zone,
  score double precision,
  cursor text
)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  c_longest constant integer := 200;
  -- a page of the API and one more, by which it knows whether another page follows
  c_most constant integer := 101;

  v_patterns text[];
begin
  if query is null or query !~ '\S' then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'q: expected text, got only blanks.';
  end if;
  if char_length(query) > c_longest then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format('q: %s characters; at most %s are taken.', char_length(query), c_longest);
  end if;
  if match_count is null or match_count not between 1 and c_most then
    raise exception using errcode = 'PT422', message = 'invalid_request',
      detail = format('match_count: expected 1 to %s.', c_most);
  end if;
  if after !~ '^-?\d{1,15} -?\d{1,15} -?\d{1,4}(\.\d{1,17})?(e-\d{1,3})? -?\d{1,15}$' then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'cursor: not the cursor of a hit.';
  end if;
  v_patterns := private.query_patterns(query);
  if v_patterns is null then
    raise exception using errcode = 'PT422', message = 'invalid_request', detail = 'q: expected a letter or a digit.';
  end if;
  return query
  select
    to_jsonb(c),
    m.id,
    m.role,
    private.snippet(coalesce(m.content, c.title), v_patterns),
    coalesce(m.created_at, c.updated_at),
    f.score,
    f."cursor"
  from private.found_texts(query, match_count, after) as f
  -- one row after the other by its id: a plan for more hits than there are would read whole tables
  left join lateral (select o.* from public.messages as o where o.id = f.message_id limit 1) as m on true
  cross join lateral (
    select o.* from public.conversations as o
    -- not coalesce(): below row level security only a condition that is known not to leak is looked up by an index
    where o.id = case when m.id is null then f.conversation_id else m.conversation_id end
    limit 1
  ) as c
  order by f.place;
end;
$$;
