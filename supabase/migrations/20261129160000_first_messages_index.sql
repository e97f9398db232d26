-- Before the code: the messages of a conversation that follow none are found by an index that is never worse than another.
-- Under row level security the planner multiplies the shares of conversation and user: messages_beginnings_idx, which
-- does not have the user, seemed worse than an index of all messages, and a long conversation was read whole.
create index concurrently messages_first_idx on public.messages (conversation_id, user_id) where parent_id is null;
