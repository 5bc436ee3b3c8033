-- Build id of the file that `dwz` moved a part of the debug information of a file to.
alter table debug_files add column supplement_id text;
create index debug_files_by_supplement on debug_files (project_id, supplement_id) where supplement_id is not null;

-- What a symcache holds, as JSON, for people; null in rows of versions that did not count.
alter table symcaches add column statistics text;
