-- Background work besides assemblies, one row as long as there is work. `due_at` orders the rows of an organization and says
-- from when on one may be taken; who holds it until `lease_until` is alone with it. `dedup_key` makes queueing the same work
-- twice one row; `rerun` is 1 when the work was caused again while it ran. At most one row of a `lane` is held.
create table jobs (
    id bigint generated always as identity primary key,
    kind text collate "C" not null,
    organization_id bigint not null references organizations (id) on delete cascade,
    project_id bigint references projects (id) on delete cascade,
    dedup_key text collate "C",
    lane text collate "C",
    payload jsonb not null,
    attempt bigint not null,
    due_at timestamptz not null,
    lease_token text collate "C",
    lease_until timestamptz,
    rerun bigint not null default 0,
    last_error text,
    created_at timestamptz not null,
    unique (kind, dedup_key)
);

create index jobs_waiting on jobs (organization_id, due_at, id);
create index jobs_running on jobs (organization_id, lease_until) where lease_token is not null;
create index jobs_of_project on jobs (project_id);
create unique index jobs_lane on jobs (kind, lane) where lane is not null and lease_token is not null;
