-- Before the code: the list of conversations is read by its last activity, and those that have no tree yet are found.
set local lock_timeout = '2s';

create index conversations_user_id_last_message_at_idx
on public.conversations (user_id, last_message_at desc, position desc);

create index conversations_without_tree_idx on public.conversations (position) where message_count is null;
