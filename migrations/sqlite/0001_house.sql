-- Who uploads, what was uploaded, and what was made from it. Times are UTC text that sorts by time.

create table organizations (
    id integer primary key autoincrement,
    slug text not null unique,
    created_at text not null
) strict;

create table projects (
    id integer primary key autoincrement,
    organization_id integer not null references organizations (id) on delete restrict,
    slug text not null,
    created_at text not null,
    unique (organization_id, slug)
) strict;

create table tokens (
    id integer primary key autoincrement,
    organization_id integer not null references organizations (id) on delete restrict,
    name text not null,
    scopes text not null,
    secret_sha256 blob not null unique,
    created_at text not null,
    expires_at text,
    last_used_at text,
    revoked_at text
) strict;

create index tokens_of_organization on tokens (organization_id);

-- A token without a row here may see every project. So a project never takes these rows along when it goes.
create table token_projects (
    token_id integer not null references tokens (id) on delete cascade,
    project_id integer not null references projects (id) on delete restrict,
    primary key (token_id, project_id)
) strict, without rowid;

create index token_projects_of_project on token_projects (project_id);

-- A piece of a file, stored once for everybody. `stored_at` is when its bytes were last written, `wanted_at` when
-- somebody last uploaded it.
create table chunks (
    id integer primary key autoincrement,
    sha1 text not null unique,
    blob_key text not null unique,
    encoding text not null,
    size integer not null,
    stored_size integer not null,
    stored_at text not null,
    wanted_at text not null
) strict;

create index chunks_wanted on chunks (wanted_at);

-- Who proved to have a chunk. Nobody else is told that it is there.
create table chunk_owners (
    chunk_id integer not null references chunks (id) on delete cascade,
    organization_id integer not null references organizations (id) on delete restrict,
    primary key (chunk_id, organization_id)
) strict, without rowid;

create index chunk_owners_of_organization on chunk_owners (organization_id);

-- A row with `retired_at` was made redundant by newer ones: still known to pollers, neither listed nor served.
create table debug_files (
    id integer primary key autoincrement,
    project_id integer not null references projects (id) on delete restrict,
    sha1 text not null,
    size integer not null,
    debug_id text not null,
    debug_id_alias text,
    code_id text,
    object_name text not null,
    cpu_name text not null,
    format text not null,
    kind text not null,
    features integer not null,
    note text,
    created_at text not null,
    retired_at text
) strict;

create unique index debug_files_live on debug_files (project_id, sha1, debug_id) where retired_at is null;
create index debug_files_by_sha1 on debug_files (project_id, sha1);
create index debug_files_by_debug_id on debug_files (project_id, debug_id);
create index debug_files_by_alias on debug_files (project_id, debug_id_alias) where debug_id_alias is not null;
create index debug_files_by_code_id on debug_files (project_id, code_id) where code_id is not null;
create index debug_files_listed on debug_files (project_id, id) where retired_at is null;
create index debug_files_retired on debug_files (retired_at) where retired_at is not null;

-- The chunks of a file in order, with repeats. A chunk that is part of a file cannot go.
create table debug_file_chunks (
    debug_file_id integer not null references debug_files (id) on delete cascade,
    position integer not null,
    chunk_id integer not null references chunks (id) on delete restrict,
    primary key (debug_file_id, position)
) strict, without rowid;

create index debug_file_chunks_of_chunk on debug_file_chunks (chunk_id);

-- A file that somebody wants and that is not there yet. `due_at` is when a worker may take it: at once, after a
-- back-off, or when the lease of the worker that has it runs out. `chunks` are checksums of 20 bytes, end to end.
create table assemblies (
    id integer primary key autoincrement,
    project_id integer not null references projects (id) on delete restrict,
    organization_id integer not null references organizations (id) on delete restrict,
    sha1 text not null,
    state text not null,
    detail text,
    name text not null,
    debug_id text,
    chunks blob not null,
    attempt integer not null,
    lease_token text,
    due_at text not null,
    converter_version text,
    created_at text not null,
    updated_at text not null,
    unique (project_id, sha1)
) strict;

create index assemblies_due on assemblies (due_at, id) where state <> 'error';
create index assemblies_failed on assemblies (updated_at) where state = 'error';
create index assemblies_of_organization on assemblies (organization_id);

-- What came of a conversion: bytes (`ready`), or the reason why there are none (`malformed`).
create table symcaches (
    id integer primary key autoincrement,
    debug_file_id integer not null references debug_files (id) on delete cascade,
    format_version integer not null,
    converter_version text not null,
    mappings text not null,
    state text not null,
    detail text,
    sha1 text,
    blob_key text unique,
    encoding text,
    size integer,
    stored_size integer,
    created_at text not null,
    unique (debug_file_id, format_version, converter_version, mappings)
) strict;
