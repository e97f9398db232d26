-- Written by `make schema` from the migrations: to change it, add a migration.

create or replace function public.my_usage() returns jsonb
language sql
security invoker
set search_path = ''
as $$ select private.my_usage() || private.usage_left() $$;

comment on function public.my_usage() is
'The caller''s {plan, allowed, today, month, models (of this month), held_tokens, requests, tokens, budget, other_requests: {search, document, moderation}, storage: {conversations, messages, documents, passages, document_bytes}}; days and months are UTC. allowed: whether the plan allows chat, documents and search. requests are turns. budget is null where the plan has none.';

grant execute on function public.my_usage() to authenticated;
