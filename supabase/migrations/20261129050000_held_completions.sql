-- Before the code: it marks what is held for completions. The release before has none.
set local lock_timeout = '2s';

alter table private.reservations add column completion boolean not null default false;

comment on column private.reservations.completion is
'Whether it is held for a completion, which has no row of its own: its process renews it. See public.begin_completion.';
