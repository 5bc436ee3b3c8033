-- 1 where `dwz` made the file for others, so that no symcache is made of it.
alter table debug_files add column is_supplement bigint not null default 0;
update debug_files set is_supplement = 1
where exists (
    select 1 from debug_files as others
    where others.project_id = debug_files.project_id and others.supplement_id = debug_files.code_id
);
-- What an earlier version said of such a file once it was asked for a symcache.
delete from symcaches where debug_file_id in (select id from debug_files where is_supplement = 1);
