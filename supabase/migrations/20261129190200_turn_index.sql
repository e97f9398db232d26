-- Before the code: messages_conversation_id_user_id_position_idx has taken its place.
drop index concurrently public.messages_conversation_id_user_id_turn_idx;
