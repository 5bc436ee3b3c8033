-- How long files are kept, and how much an organization and a project may have.

alter table organizations add column quota_bytes bigint;
alter table organizations add column quota_files bigint;

-- Rules with blanks between, such as `newest:5 90d idle:30d`; empty means that everything is kept. `deletes_at` is when
-- somebody last began to delete many files at once: whoever asks for an older file after that keeps it.
alter table projects add column retention text not null default '';
alter table projects add column quota_bytes bigint;
alter table projects add column quota_files bigint;
alter table projects add column deletes_at timestamptz;

create index projects_with_retention on projects (id) where retention <> '';

-- When somebody last uploaded a file or asked for it with an upload, how often that was, and when it was last used in
-- whichever way.
alter table debug_files add column uploaded_at timestamptz;
alter table debug_files add column used_at timestamptz;
alter table debug_files add column renewals bigint not null default 0;
update debug_files set uploaded_at = created_at, used_at = created_at;
alter table debug_files alter column uploaded_at set not null, alter column used_at set not null;

create index debug_files_by_upload on debug_files (project_id, uploaded_at) where retired_at is null;
create index debug_files_by_use on debug_files (project_id, used_at) where retired_at is null;
create index debug_files_by_name on debug_files (project_id, object_name) where retired_at is null;
create index debug_files_by_size on debug_files (project_id, size) where retired_at is null and damaged_at is null;

-- 1 from the upload of a chunk until a file of the owner has it: such chunks count on their own.
alter table chunk_owners add column waiting bigint not null default 0;

create index chunk_owners_waiting on chunk_owners (organization_id) where waiting = 1;

-- Bytes of the file that is wanted.
alter table assemblies add column size bigint not null default 0;

-- Files that a rule of their project, or somebody with a filter, took away, and when. Kept for a while, so that whoever
-- misses one hears why.
create table expired_files (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id) on delete cascade,
    debug_id text collate "C" not null,
    debug_id_alias text collate "C",
    code_id text collate "C",
    object_name text not null,
    rule text not null,
    expired_at timestamptz not null
);

create index expired_files_by_debug_id on expired_files (project_id, debug_id);
create index expired_files_by_alias on expired_files (project_id, debug_id_alias) where debug_id_alias is not null;
create index expired_files_by_code_id on expired_files (project_id, code_id) where code_id is not null;
create index expired_files_old on expired_files (expired_at);
