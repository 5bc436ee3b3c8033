-- Other symbol servers that a project asks for what it does not have. `url` may hold a user and a password.
create table upstreams (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id) on delete cascade,
    kind text not null,
    url text not null,
    created_at timestamptz not null
);

create unique index upstreams_of_project on upstreams (project_id, kind, url);

-- What an upstream could not bring, by the path it was asked for. `trouble` is 1 if the same question may have another
-- answer soon; `misses` counts how often in a row it was so, and before `next_at` nobody asks again.
create table upstream_answers (
    upstream_id bigint not null references upstreams (id) on delete cascade,
    path text not null,
    file_id text not null,
    trouble bigint not null,
    reason text not null,
    misses bigint not null,
    asked_at timestamptz not null,
    next_at timestamptz not null,
    primary key (upstream_id, path)
);

create index upstream_answers_of_file on upstream_answers (file_id);
