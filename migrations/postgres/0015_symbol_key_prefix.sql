-- How a key begins, so that people can tell which one to revoke. Older keys have none: only their hash is stored.
alter table symbol_keys add column prefix text;

-- The kinds of file that were requested under a missing id and that no upload has brought yet, as bits; 0 in rows of
-- versions that did not record it, and where any file will do.
alter table misses add column kinds bigint not null default 0;
