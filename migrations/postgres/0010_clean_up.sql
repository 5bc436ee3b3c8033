-- 1 once a clean-up saw that a file is made of the chunk, and 0 again when one of its files goes. A clean-up passes over the
-- ones, which are nearly all chunks of a large store, and looks at the files of the others.
alter table chunks add column in_use bigint not null default 0;

drop index chunks_wanted;
create index chunks_wanted on chunks (wanted_at, id) where in_use = 0;

-- Symcaches of other versions than today's, which lie on either side of it.
create index symcaches_by_version on symcaches (format_version, converter_version, id);
