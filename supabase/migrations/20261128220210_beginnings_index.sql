-- Before the code: messages that follow none are siblings of each other.
create index concurrently messages_beginnings_idx on public.messages (conversation_id) where parent_id is null;
