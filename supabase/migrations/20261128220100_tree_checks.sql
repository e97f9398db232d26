-- Before the code: existing rows are checked without locking anybody out.
alter table public.messages validate constraint messages_status_of_role_check;
alter table public.messages validate constraint messages_parent_check;
alter table public.conversations validate constraint conversations_preview_check;
alter table public.conversations validate constraint conversations_message_count_check;
