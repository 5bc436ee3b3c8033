//! Every text column has a limit, and both engines hold a text of that length in every index that it is part of.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng as _;
use rand::distr::{Alphanumeric, SampleString as _};
use rand::rngs::StdRng;
use sqlx::Row as _;
use symdepot::db::{NewSpooled, NewToken};
use symdepot::types::limits::{
    ADDRESS, EVENT_MESSAGE, FILE_ID, GIVEN_DEBUG_ID, LABEL, MESSAGE, NAME, RULES, SLUG, WORD,
};
use symdepot::types::{Scope, Scopes, SpoolStage};

use super::{House, at, on_both_engines};

on_both_engines! {
    every_text_column_holds_a_text_of_its_limit,
}

/// The limit of each text column: of each column of `PostgreSQL`'s type `text`.
const LIMITS: &[(&str, &str, usize)] = &[
    ("organizations", "slug", SLUG),
    ("projects", "slug", SLUG),
    ("projects", "retention", WORD),
    ("tokens", "name", LABEL),
    ("tokens", "scopes", WORD),
    ("symbol_keys", "name", LABEL),
    ("symbol_keys", "prefix", WORD),
    ("chunks", "sha1", WORD),
    ("chunks", "blob_key", WORD),
    ("chunks", "encoding", WORD),
    ("chunks", "lost_key", WORD),
    ("debug_files", "sha1", WORD),
    ("debug_files", "debug_id", FILE_ID),
    ("debug_files", "debug_id_alias", FILE_ID),
    ("debug_files", "code_id", FILE_ID),
    ("debug_files", "object_name", NAME),
    ("debug_files", "cpu_name", WORD),
    ("debug_files", "format", WORD),
    ("debug_files", "kind", WORD),
    ("debug_files", "note", MESSAGE),
    ("debug_files", "supplement_id", FILE_ID),
    ("assemblies", "sha1", WORD),
    ("assemblies", "state", WORD),
    ("assemblies", "detail", MESSAGE),
    ("assemblies", "name", NAME),
    ("assemblies", "debug_id", GIVEN_DEBUG_ID),
    ("assemblies", "lease_token", WORD),
    ("assemblies", "converter_version", WORD),
    ("symcaches", "converter_version", WORD),
    ("symcaches", "mappings", WORD),
    ("symcaches", "state", WORD),
    ("symcaches", "detail", MESSAGE),
    ("symcaches", "sha1", WORD),
    ("symcaches", "blob_key", WORD),
    ("symcaches", "encoding", WORD),
    ("symcaches", "statistics", MESSAGE),
    ("misses", "sort", WORD),
    ("misses", "file_id", FILE_ID),
    ("misses", "name", NAME),
    ("misses", "asker", WORD),
    ("upstreams", "kind", WORD),
    ("upstreams", "url", ADDRESS),
    ("upstream_answers", "path", ADDRESS),
    ("upstream_answers", "file_id", FILE_ID),
    ("upstream_answers", "reason", MESSAGE),
    ("expired_files", "debug_id", FILE_ID),
    ("expired_files", "debug_id_alias", FILE_ID),
    ("expired_files", "code_id", FILE_ID),
    ("expired_files", "object_name", NAME),
    ("expired_files", "rule", WORD),
    ("derived_files", "sort", WORD),
    ("derived_files", "version", WORD),
    ("derived_files", "state", WORD),
    ("derived_files", "detail", MESSAGE),
    ("derived_files", "sha1", WORD),
    ("derived_files", "blob_key", WORD),
    ("derived_files", "encoding", WORD),
    ("jobs", "kind", WORD),
    ("jobs", "dedup_key", NAME),
    ("jobs", "lane", WORD),
    ("jobs", "lease_token", WORD),
    ("jobs", "last_error", MESSAGE),
    ("project_keys", "public_key", WORD),
    ("project_keys", "name", LABEL),
    ("project_event_settings", "fingerprinting_rules", RULES),
    ("project_event_settings", "grouping_enhancements", RULES),
    ("project_event_settings", "grouping_mode", WORD),
    ("project_event_settings", "duplicates", WORD),
    ("project_event_settings", "event_sampling", WORD),
    ("issues", "title", NAME),
    ("issues", "type", MESSAGE),
    ("issues", "value", MESSAGE),
    ("issues", "culprit", MESSAGE),
    ("issues", "level", WORD),
    ("issues", "platform", WORD),
    ("issues", "status", WORD),
    ("group_hashes", "hash", WORD),
    ("group_hashes", "state", WORD),
    ("group_hashes", "parent", WORD),
    ("events", "event_id", WORD),
    ("events", "raw_hash", WORD),
    ("events", "config", WORD),
    ("events", "kind", WORD),
    ("events", "level", WORD),
    ("events", "platform", WORD),
    ("events", "title", NAME),
    ("events", "culprit", MESSAGE),
    ("events", "location", NAME),
    ("events", "message", EVENT_MESSAGE),
    ("events", "release", NAME),
    ("events", "environment", NAME),
    ("events", "symbolication", WORD),
    ("sampled_events", "event_id", WORD),
    ("hash_latest", "event_id", WORD),
    ("issue_tags", "key", NAME),
    ("issue_tags", "value", NAME),
    ("issue_users", "user_key", NAME),
    ("attachments", "event_id", WORD),
    ("attachments", "type", WORD),
    ("attachments", "name", NAME),
    ("attachments", "content_type", WORD),
    ("attachments", "sha1", WORD),
    ("attachments", "blob_key", WORD),
    ("attachments", "encoding", WORD),
    ("event_missing", "debug_id", FILE_ID),
    ("event_missing", "code_file", NAME),
    ("occurrences", "id", WORD),
    ("occurrences", "event_id", WORD),
    ("user_reports", "event_id", WORD),
    ("user_reports", "name", LABEL),
    ("user_reports", "email", LABEL),
    ("user_reports", "comments", EVENT_MESSAGE),
    ("outcomes", "kind", WORD),
    ("outcomes", "reason", LABEL),
    ("outcomes", "category", LABEL),
    ("spool_progress", "segment", WORD),
    ("spooled", "stage", WORD),
    ("spooled", "lease_token", WORD),
    ("rejected", "event_id", WORD),
    ("rejected", "reason", MESSAGE),
];

async fn every_text_column_holds_a_text_of_its_limit(house: &House) {
    let listed: BTreeSet<_> = LIMITS.iter().map(|(table, column, _)| format!("{table}.{column}")).collect();
    assert_eq!(text_columns(house).await, listed, "each text column has a limit in `types::limits` and a line here");
    fill(house).await;
    let mut tables: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    for (table, column, limit) in LIMITS {
        tables.entry(table).or_default().push((*column, *limit));
    }
    let mut chance = StdRng::seed_from_u64(10);
    for (table, columns) in tables {
        // Text by chance, because an engine packs what repeats before it measures.
        let set = columns
            .iter()
            .map(|(column, limit)| format!("{column} = '{}'", Alphanumeric.sample_string(&mut chance, *limit)));
        let statement = format!("update {table} set {}", set.collect::<Vec<_>>().join(", "));
        assert_eq!(
            house.raw(&statement).await.unwrap(),
            1,
            "one row of {table}, all of whose texts are as long as may be"
        );
    }
}

/// The text columns of the schema. In `SQLite` times are texts too, and all end in `_at`, `_until` or `_seen`; what is JSON is
/// written by the server itself and bounded by what it is made of.
async fn text_columns(house: &House) -> BTreeSet<String> {
    let columns = match house.database.url.strip_prefix("sqlite://") {
        Some(path) => {
            const COLUMNS: &str = "select m.name || '.' || p.name from sqlite_master m join pragma_table_info(m.name) p
                where m.type = 'table' and lower(p.type) = 'text' and p.name not like '%\\_at' escape '\\'
                    and p.name not in ('lease_until', 'payload', 'first_seen', 'last_seen', 'event_retention',
                        'inbound_filters', 'scrub', 'hashes', 'deep_hashes', 'user_data', 'tags', 'metadata')";
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
            let rows = sqlx::query(COLUMNS).fetch_all(&pool).await.unwrap();
            rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>()
        }
        None => {
            const COLUMNS: &str =
                "select cast(table_name || '.' || column_name as text) from information_schema.columns
                where table_schema = current_schema() and data_type = 'text' and column_name <> 'payload'";
            let pool = sqlx::PgPool::connect(&house.database.url).await.unwrap();
            let rows = sqlx::query(COLUMNS).fetch_all(&pool).await.unwrap();
            rows.iter().map(|row| row.get::<String, _>(0)).collect()
        }
    };
    columns.into_iter().filter(|name| !name.starts_with("_sqlx")).collect()
}

/// One row in every table that has a text column.
async fn fill(house: &House) {
    house.chunk("a").await;
    let file = house.register(&house.new_file("file", 1)).await.id;
    house.claimed("wanted", "lease").await;
    let token = NewToken {
        organization_id: house.organization.id,
        name: "pipeline".to_owned(),
        scopes: Scopes(vec![Scope::OrgCi]),
        project_ids: Vec::new(),
        secret_sha256: vec![1; 32],
        expires_at: None,
    };
    house.db.insert_token(&token, at(1)).await.unwrap();
    house.db.insert_symbol_key(house.project.id, "debugger", Some("sdk_1234"), &[1; 32], at(1)).await.unwrap();
    let (project, time) = (house.project.id, "'2026-01-01T00:00:00Z'");
    for statement in [
        format!(
            "insert into symcaches (debug_file_id, format_version, converter_version, mappings, state, blob_key, created_at)
                values ({file}, 1, 'v', '', 'ready', 'b', {time})"
        ),
        format!(
            "insert into derived_files (debug_file_id, sort, version, state, blob_key, created_at, used_at)
                values ({file}, 'cab', 'v', 'ready', 'b', {time}, {time})"
        ),
        format!(
            "insert into misses (project_id, sort, file_id, asker, times, first_at, last_at)
                values ({project}, 'debug', 'x', 'gdb', 1, {time}, {time})"
        ),
        format!("insert into upstreams (project_id, kind, url, created_at) values ({project}, 'ssqp', 'u', {time})"),
        format!(
            "insert into upstream_answers (upstream_id, path, file_id, trouble, reason, misses, asked_at, next_at)
                values (1, 'p', 'f', 0, 'r', 0, {time}, {time})"
        ),
        format!(
            "insert into jobs (kind, organization_id, project_id, payload, attempt, due_at, rerun, created_at)
                values ('symcache', {}, {project}, '{{}}', 0, {time}, 0, {time})",
            house.organization.id
        ),
        format!(
            "insert into expired_files (project_id, debug_id, object_name, rule, expired_at)
                values ({project}, 'd', 'o', '90d', {time})"
        ),
    ] {
        house.raw(&statement).await.unwrap();
    }
    fill_events(house).await;
}

/// One row in every table of events.
async fn fill_events(house: &House) {
    let (organization, project) = (house.organization.id, house.project.id);
    let time = "'2026-01-01T00:00:00Z'";
    for statement in [
        format!(
            "insert into project_keys (project_id, public_key, name, created_at) values ({project}, 'k', 'n', {time})"
        ),
        format!(
            "insert into project_event_settings (project_id, fingerprinting_rules, grouping_enhancements, grouping_mode,
                duplicates, event_sampling, event_rate, event_retention, quota_events, quota_event_bytes,
                inbound_filters, scrub) values ({project}, '', '', 'flat', 'last', 'off', 0, '[]', 0, 0, '[]', '{{}}')"
        ),
        format!(
            "insert into issues (project_id, number, title, type, value, culprit, level, platform, event_count,
                first_seen, last_seen, last_received_at, created_at)
                values ({project}, 1, 't', '', '', '', 'error', 'other', 1, {time}, {time}, {time}, {time})"
        ),
        format!("insert into group_hashes (project_id, hash, issue_id) values ({project}, 'h', 1)"),
        format!(
            "insert into events (project_id, event_id, day, happened_at, received_at, issue_id, hash_id, hashes,
                deep_hashes, config, kind, level, platform, title, culprit, message, tags, metadata, size, stored_size)
                values ({project}, 'e', 1, {time}, {time}, 1, 1, '[]', '[]', 'c', 'error', 'error', 'other', 't', '',
                '', '[]', '{{}}', 1, 1)"
        ),
        format!(
            "insert into sampled_events (project_id, event_id, day, received_at) values ({project}, 'e', 1, {time})"
        ),
        format!(
            "insert into hash_latest (project_id, bucket, hash_id, event_id, processed_at)
                values ({project}, 1, 1, 'e', {time})"
        ),
        format!("insert into issue_tags (issue_id, key, value, events, last_seen) values (1, 'k', 'v', 1, {time})"),
        "insert into issue_users (issue_id, user_key) values (1, 'u')".to_owned(),
        format!(
            "insert into attachments (project_id, event_id, type, name, content_type, sha1, blob_key, encoding, size,
                stored_size, created_at) values ({project}, 'e', 't', 'n', 'c', 's', 'b', 'raw', 1, 1, {time})"
        ),
        format!("insert into event_missing (event_row_id, project_id, debug_id) values (1, {project}, 'd')"),
        format!(
            "insert into occurrences (project_id, id, issue_id, payload, detected_at, created_at)
                values ({project}, 'o', 1, '{{}}', {time}, {time})"
        ),
        format!(
            "insert into user_reports (project_id, event_id, name, email, comments, created_at)
                values ({project}, 'e', '', '', '', {time})"
        ),
        format!(
            "insert into outcomes (project_id, hour, kind, reason, category, quantity)
                values ({project}, 1, 'stored', '', '', 1)"
        ),
        format!("insert into spool_progress (segment, organization_id, position) values ('s', {organization}, 1)"),
    ] {
        house.raw(&statement).await.unwrap();
    }
    // Bytes are written in another way by each engine.
    house.db.insert_spooled(&[spooled(organization)], at(1), at(1)).await.unwrap();
    let mut work = house.db.unit_of_work().await.unwrap();
    work.reject((project, "e"), "reason", b"record", at(1)).await.unwrap();
    work.commit().await.unwrap();
}

fn spooled(organization_id: i64) -> NewSpooled {
    NewSpooled { organization_id, stage: SpoolStage::New, record: b"record".to_vec() }
}
