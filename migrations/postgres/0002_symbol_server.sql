-- Who may read debug files from the symbol-server paths.

-- 1 if debuggers may read the project's debug files without a credential.
alter table projects add column public_symbols bigint not null default 0;

-- A key stands in the path of a URL, for clients that can send nothing else. It opens one project for reading.
create table symbol_keys (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id) on delete cascade,
    name text not null,
    secret_sha256 bytea not null unique,
    created_at timestamptz not null,
    last_used_at timestamptz,
    revoked_at timestamptz
);

create index symbol_keys_of_project on symbol_keys (project_id);
