-- Other symbol servers that a project asks for what it does not have. `url` may hold a user and a password.
create table upstreams (
    id integer primary key autoincrement,
    project_id integer not null references projects (id) on delete cascade,
    kind text not null,
    url text not null,
    created_at text not null
) strict;

create unique index upstreams_of_project on upstreams (project_id, kind, url);

-- What an upstream could not bring, by the path it was asked for. `trouble` is 1 if the same question may have another
-- answer soon; `misses` counts how often in a row it was so, and before `next_at` nobody asks again.
create table upstream_answers (
    upstream_id integer not null references upstreams (id) on delete cascade,
    path text not null,
    file_id text not null,
    trouble integer not null,
    reason text not null,
    misses integer not null,
    asked_at text not null,
    next_at text not null,
    primary key (upstream_id, path)
) strict, without rowid;

create index upstream_answers_of_file on upstream_answers (file_id);
