-- Who uploads, what was uploaded, and what was made from it. Text that is searched or sorted compares byte by byte, as in SQLite.

create table organizations (
    id bigint generated always as identity primary key,
    slug text collate "C" not null unique,
    created_at timestamptz not null
);

create table projects (
    id bigint generated always as identity primary key,
    organization_id bigint not null references organizations (id) on delete restrict,
    slug text collate "C" not null,
    created_at timestamptz not null,
    unique (organization_id, slug)
);

create table tokens (
    id bigint generated always as identity primary key,
    organization_id bigint not null references organizations (id) on delete restrict,
    name text not null,
    scopes text not null,
    secret_sha256 bytea not null unique,
    created_at timestamptz not null,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);

create index tokens_of_organization on tokens (organization_id);

-- A token without a row here may see every project. So a project never takes these rows along when it goes.
create table token_projects (
    token_id bigint not null references tokens (id) on delete cascade,
    project_id bigint not null references projects (id) on delete restrict,
    primary key (token_id, project_id)
);

create index token_projects_of_project on token_projects (project_id);

-- A piece of a file, stored once for everybody. `stored_at` is when its bytes were last written, `wanted_at` when
-- somebody last uploaded it.
create table chunks (
    id bigint generated always as identity primary key,
    sha1 text collate "C" not null unique,
    blob_key text collate "C" not null unique,
    encoding text not null,
    size bigint not null,
    stored_size bigint not null,
    stored_at timestamptz not null,
    wanted_at timestamptz not null
);

create index chunks_wanted on chunks (wanted_at);

-- Who proved to have a chunk. Nobody else is told that it is there.
create table chunk_owners (
    chunk_id bigint not null references chunks (id) on delete cascade,
    organization_id bigint not null references organizations (id) on delete restrict,
    primary key (chunk_id, organization_id)
);

create index chunk_owners_of_organization on chunk_owners (organization_id);

-- A row with `retired_at` was made redundant by newer ones: still known to pollers, neither listed nor served.
create table debug_files (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id) on delete restrict,
    sha1 text collate "C" not null,
    size bigint not null,
    debug_id text collate "C" not null,
    debug_id_alias text collate "C",
    code_id text collate "C",
    object_name text collate "C" not null,
    cpu_name text collate "C" not null,
    format text collate "C" not null,
    kind text not null,
    features bigint not null,
    note text,
    created_at timestamptz not null,
    retired_at timestamptz
);

create unique index debug_files_live on debug_files (project_id, sha1, debug_id) where retired_at is null;
create index debug_files_by_sha1 on debug_files (project_id, sha1);
create index debug_files_by_debug_id on debug_files (project_id, debug_id);
create index debug_files_by_alias on debug_files (project_id, debug_id_alias) where debug_id_alias is not null;
create index debug_files_by_code_id on debug_files (project_id, code_id) where code_id is not null;
create index debug_files_listed on debug_files (project_id, id) where retired_at is null;
create index debug_files_retired on debug_files (retired_at) where retired_at is not null;

-- The chunks of a file in order, with repeats. A chunk that is part of a file cannot go.
create table debug_file_chunks (
    debug_file_id bigint not null references debug_files (id) on delete cascade,
    position bigint not null,
    chunk_id bigint not null references chunks (id) on delete restrict,
    primary key (debug_file_id, position)
);

create index debug_file_chunks_of_chunk on debug_file_chunks (chunk_id);

-- A file that somebody wants and that is not there yet. `due_at` is when a worker may take it: at once, after a
-- back-off, or when the lease of the worker that has it runs out. `chunks` are checksums of 20 bytes, end to end.
create table assemblies (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id) on delete restrict,
    organization_id bigint not null references organizations (id) on delete restrict,
    sha1 text collate "C" not null,
    state text not null,
    detail text,
    name text not null,
    debug_id text collate "C",
    chunks bytea not null,
    attempt bigint not null,
    lease_token text,
    due_at timestamptz not null,
    converter_version text collate "C",
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (project_id, sha1)
);

create index assemblies_due on assemblies (due_at, id) where state <> 'error';
create index assemblies_failed on assemblies (updated_at) where state = 'error';
create index assemblies_of_organization on assemblies (organization_id);

-- What came of a conversion: bytes (`ready`), or the reason why there are none (`malformed`).
create table symcaches (
    id bigint generated always as identity primary key,
    debug_file_id bigint not null references debug_files (id) on delete cascade,
    format_version bigint not null,
    converter_version text collate "C" not null,
    mappings text collate "C" not null,
    state text not null,
    detail text,
    sha1 text collate "C",
    blob_key text collate "C" unique,
    encoding text,
    size bigint,
    stored_size bigint,
    created_at timestamptz not null,
    unique (debug_file_id, format_version, converter_version, mappings)
);
