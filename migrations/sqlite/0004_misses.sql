-- What was looked for and was not there. `sort` is `debug` or `code`; `found_at` is when an upload brought it, until
-- somebody misses it again.
create table misses (
    project_id integer not null references projects (id) on delete cascade,
    sort text not null,
    file_id text not null,
    name text,
    asker text not null,
    times integer not null,
    first_at text not null,
    last_at text not null,
    found_at text,
    primary key (project_id, sort, file_id)
) strict, without rowid;

create index misses_recent on misses (project_id, last_at);
