-- Who may read debug files from the symbol-server paths.

-- 1 if debuggers may read the project's debug files without a credential.
alter table projects add column public_symbols integer not null default 0;

-- A key stands in the path of a URL, for clients that can send nothing else. It opens one project for reading.
create table symbol_keys (
    id integer primary key autoincrement,
    project_id integer not null references projects (id) on delete cascade,
    name text not null,
    secret_sha256 blob not null unique,
    created_at text not null,
    last_used_at text,
    revoked_at text
) strict;

create index symbol_keys_of_project on symbol_keys (project_id);
