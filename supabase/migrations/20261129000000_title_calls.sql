-- Before the code: it charges calls for titles. The release before makes none.
set local lock_timeout = '2s';

alter table private.usage_ledger drop constraint usage_ledger_kind_check;
alter table private.usage_ledger add constraint usage_ledger_kind_check
check (kind in ('reply', 'embedding', 'moderation', 'title')) not valid;

alter table private.reservations add column title_of uuid;

comment on column private.reservations.title_of is
'The conversation that is being given a title, for as long as that takes. Null where a reply is written.';
