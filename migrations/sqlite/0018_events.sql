-- Events of clients, the issues into which they are grouped, and what waits to become either.

-- Numbers of issues in a project; one that was given is never given again.
alter table projects add column last_issue_number integer not null default 0;

-- What an SDK shows to send events. It opens nothing else, so it is stored as it is and shown again.
create table project_keys (
    id integer primary key autoincrement,
    project_id integer not null references projects (id) on delete cascade,
    public_key text not null unique,
    name text not null,
    rate integer not null default 0,
    created_at text not null,
    revoked_at text
) strict;
create index project_keys_of_project on project_keys (project_id);

-- How events of a project are treated; a project without a row has the defaults. Numbers of 0 mean no limit.
create table project_event_settings (
    project_id integer primary key references projects (id) on delete cascade,
    fingerprinting_rules text not null,
    grouping_enhancements text not null,
    grouping_mode text not null,
    duplicates text not null,
    event_sampling text not null,
    event_rate integer not null,
    event_retention text not null,
    quota_events integer not null,
    quota_event_bytes integer not null,
    inbound_filters text not null,
    scrub text not null
) strict;

-- Events that belong together. `event_count` is the sum of `hash_hours` over the hashes of the issue; retention never lowers it.
create table issues (
    id integer primary key autoincrement,
    project_id integer not null references projects (id) on delete cascade,
    number integer not null,
    title text not null,
    type text not null,
    value text not null,
    culprit text not null,
    level text not null,
    platform text not null,
    status text not null default 'open',
    version integer not null default 1,
    event_count integer not null,
    first_seen text not null,
    last_seen text not null,
    last_received_at text not null,
    created_at text not null,
    unique (project_id, number)
) strict;
create index issues_by_last_seen on issues (project_id, last_seen, id);

-- Where the id and the number of an issue that was merged into another one lead. For good.
create table issue_redirects (
    id integer primary key,
    project_id integer not null references projects (id) on delete cascade,
    number integer not null,
    issue_id integer not null references issues (id) on delete cascade,
    unique (project_id, number)
) strict;
create index issue_redirects_to on issue_redirects (issue_id);

-- A hash belongs to one issue, which it gets once. `state` is `live` or `split`.
create table group_hashes (
    id integer primary key autoincrement,
    project_id integer not null references projects (id) on delete cascade,
    hash text not null,
    issue_id integer references issues (id) on delete cascade,
    state text not null default 'live',
    depth integer,
    parent text,
    first_at text,
    last_at text,
    first_received_at text,
    last_received_at text,
    unique (project_id, hash)
) strict;
create index group_hashes_of_issue on group_hashes (issue_id);

-- An event; `hash_id` is the hash under which it is counted. `day` counts UTC days since 1970.
create table events (
    id integer primary key autoincrement,
    project_id integer not null references projects (id) on delete cascade,
    event_id text not null,
    day integer not null,
    happened_at text not null,
    received_at text not null,
    issue_id integer not null references issues (id) on delete cascade,
    hash_id integer not null references group_hashes (id),
    hashes text not null,
    deep_hashes text not null,
    raw_hash text,
    config text not null,
    kind text not null,
    level text not null,
    platform text not null,
    title text not null,
    culprit text not null,
    location text,
    message text not null,
    release text,
    environment text,
    user_data text,
    tags text not null,
    metadata text not null,
    size integer not null,
    stored_size integer not null,
    symbolication text not null default 'none',
    unique (project_id, event_id, day)
) strict;
create index events_of_issue on events (issue_id, happened_at, id);
create index events_by_receipt on events (project_id, received_at, id);
create index events_of_hash on events (hash_id);
create index events_by_raw_hash on events (project_id, raw_hash) where raw_hash is not null;

-- The event as JSON, a frame of zstd, apart from its columns so that lists read little.
create table event_payloads (
    event_row_id integer primary key references events (id) on delete cascade,
    payload blob not null
) strict;

-- Events that were counted and not stored.
create table sampled_events (
    project_id integer not null references projects (id) on delete cascade,
    event_id text not null,
    day integer not null,
    received_at text not null,
    primary key (project_id, event_id, day)
) strict, without rowid;
create index sampled_events_by_receipt on sampled_events (received_at);

-- The event that was last processed under a hash. `bucket` is the row id of the hash modulo 16, never negative.
create table hash_latest (
    project_id integer not null references projects (id) on delete cascade,
    bucket integer not null,
    hash_id integer not null references group_hashes (id) on delete cascade,
    event_id text not null,
    processed_at text not null,
    primary key (project_id, bucket, hash_id)
) strict, without rowid;

-- Events under a hash by hour of receipt, in hours since 1970. Never lowered by retention.
create table hash_hours (
    hash_id integer not null references group_hashes (id) on delete cascade,
    hour integer not null,
    events integer not null,
    primary key (hash_id, hour)
) strict, without rowid;

-- Tags of the events of an issue, counted; at most 500 values of a key.
create table issue_tags (
    issue_id integer not null references issues (id) on delete cascade,
    key text not null,
    value text not null,
    events integer not null,
    last_seen text not null,
    primary key (issue_id, key, value)
) strict, without rowid;

-- Users whom an issue met.
create table issue_users (
    issue_id integer not null references issues (id) on delete cascade,
    user_key text not null,
    primary key (issue_id, user_key)
) strict, without rowid;

-- Files that came with an event, or before it.
create table attachments (
    id integer primary key autoincrement,
    project_id integer not null references projects (id) on delete cascade,
    event_id text not null,
    type text not null,
    name text not null,
    content_type text not null,
    sha1 text not null,
    blob_key text not null unique,
    encoding text not null,
    size integer not null,
    stored_size integer not null,
    created_at text not null
) strict;
create index attachments_of_event on attachments (project_id, event_id);
create index attachments_by_age on attachments (created_at);

-- Debug ids of modules that the symbolication of an event lacked.
create table event_missing (
    event_row_id integer not null references events (id) on delete cascade,
    project_id integer not null references projects (id) on delete cascade,
    debug_id text not null,
    code_file text,
    primary key (event_row_id, debug_id)
) strict, without rowid;
create index event_missing_by_id on event_missing (project_id, debug_id);

-- Problems that other programs found.
create table occurrences (
    project_id integer not null references projects (id) on delete cascade,
    id text not null,
    issue_id integer not null references issues (id) on delete cascade,
    event_id text,
    payload text not null,
    detected_at text not null,
    created_at text not null,
    primary key (project_id, id)
) strict;
create index occurrences_of_issue on occurrences (issue_id);

-- What users wrote about an event; the newest counts.
create table user_reports (
    project_id integer not null references projects (id) on delete cascade,
    event_id text not null,
    name text not null,
    email text not null,
    comments text not null,
    created_at text not null,
    primary key (project_id, event_id)
) strict;

-- What became of events, by hour since 1970. `reason` and `category` are empty but for what clients report of themselves.
create table outcomes (
    project_id integer not null references projects (id) on delete cascade,
    hour integer not null,
    kind text not null,
    reason text not null,
    category text not null,
    quantity integer not null,
    primary key (project_id, hour, kind, reason, category)
) strict, without rowid;

-- How far a segment of a spool on disk is digested, for each organization with records in it.
create table spool_progress (
    segment text not null,
    organization_id integer not null references organizations (id) on delete cascade,
    position integer not null,
    primary key (segment, organization_id)
) strict, without rowid;

-- Accepted events that are not digested yet: those of a spool in the database, and native ones that wait for symbolication.
create table spooled (
    id integer primary key autoincrement,
    organization_id integer not null references organizations (id) on delete cascade,
    stage text not null,
    record blob not null,
    attempt integer not null default 0,
    due_at text not null,
    lease_token text,
    created_at text not null
) strict;
create index spooled_due on spooled (stage, due_at, id);

-- Accepted events that could not be digested, as they came, for those who look for the cause.
create table rejected (
    id integer primary key autoincrement,
    project_id integer not null references projects (id) on delete cascade,
    event_id text not null,
    reason text not null,
    record blob not null,
    created_at text not null
) strict;
create index rejected_by_age on rejected (created_at);
