-- Before the code: existing rows are checked without locking anybody out.
alter table public.messages validate constraint messages_rating_check;
alter table public.messages validate constraint messages_comment_check;
