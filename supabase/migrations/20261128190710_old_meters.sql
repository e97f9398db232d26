-- Before the code: the kinds of the meters that there are already are checked, which locks nobody out.
alter table private.meters validate constraint meters_kind_check;
