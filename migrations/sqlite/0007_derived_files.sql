-- What was made from a debug file besides its symcaches: Breakpad text, or the file packed as Windows likes it. The version
-- names whatever its content depends on. `used_at` is when it was last asked for, to the hour.
create table derived_files (
    id integer primary key autoincrement,
    debug_file_id integer not null references debug_files (id) on delete cascade,
    sort text not null,
    version text not null,
    state text not null,
    detail text,
    sha1 text,
    blob_key text unique,
    encoding text,
    size integer,
    stored_size integer,
    created_at text not null,
    used_at text not null,
    unique (debug_file_id, sort, version)
) strict;
