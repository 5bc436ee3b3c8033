-- Background work besides assemblies, one row as long as there is work. `due_at` orders the rows of an organization and says
-- from when on one may be taken; who holds it until `lease_until` is alone with it. `dedup_key` makes queueing the same work
-- twice one row; `rerun` is 1 when the work was caused again while it ran. At most one row of a `lane` is held.
create table jobs (
    id integer primary key autoincrement,
    kind text not null,
    organization_id integer not null references organizations (id) on delete cascade,
    project_id integer references projects (id) on delete cascade,
    dedup_key text,
    lane text,
    payload text not null,
    attempt integer not null,
    due_at text not null,
    lease_token text,
    lease_until text,
    rerun integer not null default 0,
    last_error text,
    created_at text not null,
    unique (kind, dedup_key)
) strict;

create index jobs_waiting on jobs (organization_id, due_at, id);
create index jobs_running on jobs (organization_id, lease_until) where lease_token is not null;
create index jobs_of_project on jobs (project_id);
create unique index jobs_lane on jobs (kind, lane) where lane is not null and lease_token is not null;
