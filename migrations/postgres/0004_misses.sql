-- What was looked for and was not there. `sort` is `debug` or `code`; `found_at` is when an upload brought it, until
-- somebody misses it again.
create table misses (
    project_id bigint not null references projects (id) on delete cascade,
    sort text not null,
    file_id text not null,
    name text,
    asker text not null,
    times bigint not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    found_at timestamptz,
    primary key (project_id, sort, file_id)
);

create index misses_recent on misses (project_id, last_at);
