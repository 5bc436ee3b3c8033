//! Every text column has a limit, and both engines hold a text of that length in every index that it is part of.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng as _;
use rand::distr::{Alphanumeric, SampleString as _};
use rand::rngs::StdRng;
use sqlx::Row as _;
use symdepot::db::NewToken;
use symdepot::types::limits::{ADDRESS, FILE_ID, GIVEN_DEBUG_ID, LABEL, MESSAGE, NAME, SLUG, WORD};
use symdepot::types::{Scope, Scopes};

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

/// The text columns of the schema. In `SQLite` times are texts too, and all end in `_at` or `_until`; the payload of a job is
/// JSON, which the server writes itself.
async fn text_columns(house: &House) -> BTreeSet<String> {
    let columns = match house.database.url.strip_prefix("sqlite://") {
        Some(path) => {
            const COLUMNS: &str = "select m.name || '.' || p.name from sqlite_master m join pragma_table_info(m.name) p
                where m.type = 'table' and lower(p.type) = 'text' and p.name not like '%\\_at' escape '\\'
                    and p.name not in ('lease_until', 'payload')";
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
            let rows = sqlx::query(COLUMNS).fetch_all(&pool).await.unwrap();
            rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>()
        }
        None => {
            const COLUMNS: &str =
                "select cast(table_name || '.' || column_name as text) from information_schema.columns
                where table_schema = current_schema() and data_type = 'text'";
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
}
