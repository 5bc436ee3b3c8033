-- Events of clients, the issues into which they are grouped, and what waits to become either.

-- Numbers of issues in a project; one that was given is never given again.
alter table projects add column last_issue_number bigint not null default 0;

-- What an SDK shows to send events. It opens nothing else, so it is stored as it is and shown again.
create table project_keys (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id) on delete cascade,
    public_key text collate "C" not null unique,
    name text collate "C" not null,
    rate bigint not null default 0,
    created_at timestamptz not null,
    revoked_at timestamptz
);
create index project_keys_of_project on project_keys (project_id);

-- How events of a project are treated; a project without a row has the defaults. Numbers of 0 mean no limit.
create table project_event_settings (
    project_id bigint primary key references projects (id) on delete cascade,
    fingerprinting_rules text collate "C" not null,
    grouping_enhancements text collate "C" not null,
    grouping_mode text collate "C" not null,
    duplicates text collate "C" not null,
    event_sampling text collate "C" not null,
    event_rate bigint not null,
    event_retention jsonb not null,
    quota_events bigint not null,
    quota_event_bytes bigint not null,
    inbound_filters jsonb not null,
    scrub jsonb not null
);

-- Events that belong together. `event_count` is the sum of `hash_hours` over the hashes of the issue; retention never lowers it.
create table issues (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id) on delete cascade,
    number bigint not null,
    title text collate "C" not null,
    type text collate "C" not null,
    value text collate "C" not null,
    culprit text collate "C" not null,
    level text collate "C" not null,
    platform text collate "C" not null,
    status text collate "C" not null default 'open',
    version bigint not null default 1,
    event_count bigint not null,
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    last_received_at timestamptz not null,
    created_at timestamptz not null,
    unique (project_id, number)
);
create index issues_by_last_seen on issues (project_id, last_seen, id);

-- Where the id and the number of an issue that was merged into another one lead. For good.
create table issue_redirects (
    id bigint primary key,
    project_id bigint not null references projects (id) on delete cascade,
    number bigint not null,
    issue_id bigint not null references issues (id) on delete cascade,
    unique (project_id, number)
);
create index issue_redirects_to on issue_redirects (issue_id);

-- A hash belongs to one issue, which it gets once. `state` is `live` or `split`.
create table group_hashes (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id) on delete cascade,
    hash text collate "C" not null,
    issue_id bigint references issues (id) on delete cascade,
    state text collate "C" not null default 'live',
    depth bigint,
    parent text collate "C",
    first_at timestamptz,
    last_at timestamptz,
    first_received_at timestamptz,
    last_received_at timestamptz,
    unique (project_id, hash)
);
create index group_hashes_of_issue on group_hashes (issue_id);

-- An event; `hash_id` is the hash under which it is counted. `day` counts UTC days since 1970.
create table events (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id) on delete cascade,
    event_id text collate "C" not null,
    day bigint not null,
    happened_at timestamptz not null,
    received_at timestamptz not null,
    issue_id bigint not null references issues (id) on delete cascade,
    hash_id bigint not null references group_hashes (id),
    hashes jsonb not null,
    deep_hashes jsonb not null,
    raw_hash text collate "C",
    config text collate "C" not null,
    kind text collate "C" not null,
    level text collate "C" not null,
    platform text collate "C" not null,
    title text collate "C" not null,
    culprit text collate "C" not null,
    location text collate "C",
    message text collate "C" not null,
    release text collate "C",
    environment text collate "C",
    user_data jsonb,
    tags jsonb not null,
    metadata jsonb not null,
    size bigint not null,
    stored_size bigint not null,
    symbolication text collate "C" not null default 'none',
    unique (project_id, event_id, day)
);
create index events_of_issue on events (issue_id, happened_at, id);
create index events_by_receipt on events (project_id, received_at, id);
create index events_of_hash on events (hash_id);
create index events_by_raw_hash on events (project_id, raw_hash) where raw_hash is not null;

-- The event as JSON, a frame of zstd, apart from its columns so that lists read little.
create table event_payloads (
    event_row_id bigint primary key references events (id) on delete cascade,
    payload bytea not null
);

-- Events that were counted and not stored.
create table sampled_events (
    project_id bigint not null references projects (id) on delete cascade,
    event_id text collate "C" not null,
    day bigint not null,
    received_at timestamptz not null,
    primary key (project_id, event_id, day)
);
create index sampled_events_by_receipt on sampled_events (received_at);

-- The event that was last processed under a hash. `bucket` is the row id of the hash modulo 16, never negative.
create table hash_latest (
    project_id bigint not null references projects (id) on delete cascade,
    bucket bigint not null,
    hash_id bigint not null references group_hashes (id) on delete cascade,
    event_id text collate "C" not null,
    processed_at timestamptz not null,
    primary key (project_id, bucket, hash_id)
);

-- Events under a hash by hour of receipt, in hours since 1970. Never lowered by retention.
create table hash_hours (
    hash_id bigint not null references group_hashes (id) on delete cascade,
    hour bigint not null,
    events bigint not null,
    primary key (hash_id, hour)
);

-- Tags of the events of an issue, counted; at most 500 values of a key.
create table issue_tags (
    issue_id bigint not null references issues (id) on delete cascade,
    key text collate "C" not null,
    value text collate "C" not null,
    events bigint not null,
    last_seen timestamptz not null,
    primary key (issue_id, key, value)
);

-- Users whom an issue met.
create table issue_users (
    issue_id bigint not null references issues (id) on delete cascade,
    user_key text collate "C" not null,
    primary key (issue_id, user_key)
);

-- Files that came with an event, or before it.
create table attachments (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id) on delete cascade,
    event_id text collate "C" not null,
    type text collate "C" not null,
    name text collate "C" not null,
    content_type text collate "C" not null,
    sha1 text collate "C" not null,
    blob_key text collate "C" not null unique,
    encoding text collate "C" not null,
    size bigint not null,
    stored_size bigint not null,
    created_at timestamptz not null
);
create index attachments_of_event on attachments (project_id, event_id);
create index attachments_by_age on attachments (created_at);

-- Debug ids of modules that the symbolication of an event lacked.
create table event_missing (
    event_row_id bigint not null references events (id) on delete cascade,
    project_id bigint not null references projects (id) on delete cascade,
    debug_id text collate "C" not null,
    code_file text collate "C",
    primary key (event_row_id, debug_id)
);
create index event_missing_by_id on event_missing (project_id, debug_id);

-- Problems that other programs found.
create table occurrences (
    project_id bigint not null references projects (id) on delete cascade,
    id text collate "C" not null,
    issue_id bigint not null references issues (id) on delete cascade,
    event_id text collate "C",
    payload text collate "C" not null,
    detected_at timestamptz not null,
    created_at timestamptz not null,
    primary key (project_id, id)
);
create index occurrences_of_issue on occurrences (issue_id);

-- What users wrote about an event; the newest counts.
create table user_reports (
    project_id bigint not null references projects (id) on delete cascade,
    event_id text collate "C" not null,
    name text collate "C" not null,
    email text collate "C" not null,
    comments text collate "C" not null,
    created_at timestamptz not null,
    primary key (project_id, event_id)
);

-- What became of events, by hour since 1970. `reason` and `category` are empty but for what clients report of themselves.
create table outcomes (
    project_id bigint not null references projects (id) on delete cascade,
    hour bigint not null,
    kind text collate "C" not null,
    reason text collate "C" not null,
    category text collate "C" not null,
    quantity bigint not null,
    primary key (project_id, hour, kind, reason, category)
);

-- How far a segment of a spool on disk is digested, for each organization with records in it.
create table spool_progress (
    segment text collate "C" not null,
    organization_id bigint not null references organizations (id) on delete cascade,
    position bigint not null,
    primary key (segment, organization_id)
);

-- Accepted events that are not digested yet: those of a spool in the database, and native ones that wait for symbolication.
create table spooled (
    id bigint generated always as identity primary key,
    organization_id bigint not null references organizations (id) on delete cascade,
    stage text collate "C" not null,
    record bytea not null,
    attempt bigint not null default 0,
    due_at timestamptz not null,
    lease_token text collate "C",
    created_at timestamptz not null
);
create index spooled_due on spooled (stage, due_at, id);

-- Accepted events that could not be digested, as they came, for those who look for the cause.
create table rejected (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id) on delete cascade,
    event_id text collate "C" not null,
    reason text collate "C" not null,
    record bytea not null,
    created_at timestamptz not null
);
create index rejected_by_age on rejected (created_at);
