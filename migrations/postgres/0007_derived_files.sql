-- What was made from a debug file besides its symcaches: Breakpad text, or the file packed as Windows likes it. The version
-- names whatever its content depends on. `used_at` is when it was last asked for, to the hour.
create table derived_files (
    id bigint generated always as identity primary key,
    debug_file_id bigint not null references debug_files (id) on delete cascade,
    sort text not null,
    version text collate "C" not null,
    state text not null,
    detail text,
    sha1 text collate "C",
    blob_key text collate "C" unique,
    encoding text,
    size bigint,
    stored_size bigint,
    created_at timestamptz not null,
    used_at timestamptz not null,
    unique (debug_file_id, sort, version)
);
