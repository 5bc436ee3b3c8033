-- Whether only clients without a credential have missed an id. Such rows are the first to go when a project has too many.
alter table misses add column anonymous bigint not null default 0;
