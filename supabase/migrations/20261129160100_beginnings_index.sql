-- Before the code: messages_first_idx has taken its place.
drop index concurrently public.messages_beginnings_idx;
