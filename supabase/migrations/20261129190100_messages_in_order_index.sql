-- Before the code: an export reads the messages of a conversation in their order, each part those that it shows.
-- It takes the place of an index by turn, in whose order nobody reads messages any more.
create index concurrently messages_conversation_id_user_id_position_idx
on public.messages (conversation_id, user_id, position);
