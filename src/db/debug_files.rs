//! Debug files: finding them, the chunks they are made of, and their end.
//!
//! How they begin is in `registration`, how they are listed in `file_list`. It never decides which file is best.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::{query, query_as, query_scalar};

use super::rows::{blob, json, parse, size};
use super::sql::{Sql, on_db, on_tx, sql};
use super::symcaches::delete_with_files;
use super::{Db, DbError, derived_files};
use crate::types::{BlobRef, CodeId, DebugFile, DebugId, Features, Sha1};

/// A file as a poller meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// The file.
    pub file: DebugFile,
    /// When newer files made it redundant; it is then neither listed nor served.
    pub retired_at: Option<DateTime<Utc>>,
    /// Why the current converter cannot make a symcache of it.
    pub malformed: Option<String>,
    /// Nothing came of a conversion by the current converter yet, and an assembly of the same content is under way or
    /// failed with this converter: that assembly knows more of the file than the file itself.
    pub unsettled: bool,
    /// When it was last uploaded, or asked for with an upload.
    pub uploaded_at: DateTime<Utc>,
    /// When somebody last began to delete many files of the project at once.
    pub deletes_at: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
pub(super) struct FileRow {
    id: i64,
    project_id: i64,
    sha1: String,
    size: i64,
    debug_id: String,
    debug_id_alias: Option<String>,
    code_id: Option<String>,
    object_name: String,
    cpu_name: String,
    format: String,
    kind: String,
    features: i64,
    note: Option<String>,
    supplement_id: Option<String>,
    is_supplement: i64,
    created_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct KnownRow {
    #[sqlx(flatten)]
    file: FileRow,
    retired_at: Option<DateTime<Utc>>,
    malformed: Option<String>,
    unsettled: bool,
    uploaded_at: DateTime<Utc>,
    deletes_at: Option<DateTime<Utc>>,
}

const TABLE: &str = "debug_files";

impl TryFrom<FileRow> for DebugFile {
    type Error = DbError;

    fn try_from(row: FileRow) -> Result<Self, DbError> {
        let features = u8::try_from(row.features)
            .map_err(|_| DbError::BadRow { table: TABLE, reason: format!("features of {}", row.features) })?;
        Ok(Self {
            id: row.id,
            project_id: row.project_id,
            sha1: parse(TABLE, &row.sha1)?,
            size: size(TABLE, row.size)?,
            debug_id: parse(TABLE, &row.debug_id)?,
            debug_id_alias: row.debug_id_alias.map(|id| parse(TABLE, &id)).transpose()?,
            code_id: row.code_id.map(|id| CodeId::new(&id)),
            object_name: row.object_name,
            cpu_name: row.cpu_name,
            format: parse(TABLE, &row.format)?,
            kind: parse(TABLE, &row.kind)?,
            features: Features::from_bits(features),
            note: row.note,
            supplement_id: row.supplement_id.map(|id| CodeId::new(&id)),
            is_supplement: row.is_supplement != 0,
            created_at: row.created_at,
        })
    }
}

/// The columns of a [`FileRow`], of a table named `f`.
macro_rules! file_columns {
    () => {
        "f.id, f.project_id, f.sha1, f.size, f.debug_id, f.debug_id_alias, f.code_id, f.object_name, f.cpu_name,
            f.format, f.kind, f.features, f.note, f.supplement_id,
            f.is_supplement, f.created_at"
    };
}
pub(super) use file_columns;

/// Rows as files.
pub(super) fn files(rows: Vec<FileRow>) -> Result<Vec<DebugFile>, DbError> {
    rows.into_iter().map(TryInto::try_into).collect()
}

impl Db {
    /// The files of a project with one of these contents, newest first, retired ones too. One query for any number.
    /// A file whose bytes were lost is not among them, so that it is uploaded again. `malformed` and `unsettled` speak
    /// of `converter_version` only.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.known")]
    pub async fn known_files(
        &self,
        project_id: i64,
        sha1s: &[Sha1],
        converter_version: &str,
    ) -> Result<Vec<KnownFile>, DbError> {
        // The newest row counts: a map of names that came later may have changed what comes of a conversion. Hardly any
        // file that stands has an assembly, so that its symcaches are looked at once.
        const SQL: Sql = sql!("
            select " (file_columns) ", f.retired_at, (
                select case when s.state = 'malformed' then s.detail end from symcaches s
                where s.debug_file_id = f.id and s.converter_version = $3 order by s.id desc limit 1
            ) as malformed, exists (
                select 1 from assemblies a where a.project_id = f.project_id and a.sha1 = f.sha1
                    and (a.state <> 'error' or a.converter_version = $3)
                    and not exists (select 1 from symcaches s where s.debug_file_id = f.id and s.converter_version = $3)
            ) as unsettled, f.uploaded_at, (select p.deletes_at from projects p where p.id = $1) as deletes_at
            from debug_files f
            where f.project_id = $1 and f.damaged_at is null and f.sha1 " [in_texts "$2"] " order by f.id desc
        ");
        if sha1s.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<KnownRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(json(sha1s)).bind(converter_version).fetch_all(on).await
        })?;
        let known = |row: KnownRow| {
            let KnownRow { file, retired_at, malformed, unsettled, uploaded_at, deletes_at } = row;
            Ok(KnownFile { file: file.try_into()?, retired_at, malformed, unsettled, uploaded_at, deletes_at })
        };
        rows.into_iter().map(known).collect()
    }

    /// A live file of a project.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.find")]
    pub async fn debug_file(&self, project_id: i64, id: i64) -> Result<Option<DebugFile>, DbError> {
        const SQL: Sql = sql!("
            select " (file_columns) " from debug_files f
            where f.id = $2 and f.project_id = $1 and f.retired_at is null
        ");
        let row: Option<FileRow> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).bind(id).fetch_optional(on).await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// A file of a project, live or retired: what pollers hear of can be read.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.find_known")]
    pub async fn known_debug_file(&self, project_id: i64, id: i64) -> Result<Option<DebugFile>, DbError> {
        const SQL: Sql = sql!("
            select " (file_columns) " from debug_files f where f.id = $2 and f.project_id = $1
        ");
        let row: Option<FileRow> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(project_id).bind(id).fetch_optional(on).await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// Those of `code_ids` under which a project has a live ELF file.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.elf_code_ids")]
    pub async fn elf_code_ids(&self, project_id: i64, code_ids: &[CodeId]) -> Result<HashSet<CodeId>, DbError> {
        const SQL: Sql = sql!("
            select distinct f.code_id from debug_files f
            where f.project_id = $1 and f.code_id " [in_texts "$2"] " and f.format = 'elf' and f.retired_at is null
        ");
        if code_ids.is_empty() {
            return Ok(HashSet::new());
        }
        let texts: Vec<_> = code_ids.iter().map(CodeId::as_str).collect();
        let found: Vec<String> = on_db!(read self, SQL, |sql, on| query_scalar(sql).bind(project_id).bind(json(&texts)).fetch_all(on).await)?;
        Ok(found.iter().map(|id| CodeId::new(id)).collect())
    }

    /// Up to `limit` live files of a project of whose debug information `dwz` moved a part to the file with this build id,
    /// newest first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.supplemented")]
    pub async fn supplemented_files(
        &self,
        project_id: i64,
        supplement_id: &CodeId,
        limit: i64,
    ) -> Result<Vec<DebugFile>, DbError> {
        const SQL: Sql = sql!("
            select " (file_columns) " from debug_files f
            where f.project_id = $1 and f.supplement_id = $2 and f.retired_at is null order by f.id desc limit $3
        ");
        let rows: Vec<FileRow> = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(supplement_id.as_str()).bind(limit).fetch_all(on).await
        })?;
        files(rows)
    }

    /// A live file, whatever its project.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.live")]
    pub async fn live_file(&self, id: i64) -> Result<Option<DebugFile>, DbError> {
        const SQL: Sql = sql!("
            select " (file_columns) " from debug_files f where f.id = $1 and f.retired_at is null
        ");
        let row: Option<FileRow> = on_db!(read self, SQL, |sql, on| query_as(sql).bind(id).fetch_optional(on).await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// The live files of a project under a debug id (own or alias), newest first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.by_id")]
    pub async fn debug_files_by_id(&self, project_id: i64, debug_ids: &[DebugId]) -> Result<Vec<DebugFile>, DbError> {
        // Two look-ups in two indices; with `or` PostgreSQL would read the whole project.
        const SQL: Sql = sql!("
            select " (file_columns) " from debug_files f where f.retired_at is null and f.id in (
                select id from debug_files where project_id = $1 and debug_id " [in_texts "$2"] "
                union all
                select id from debug_files where project_id = $1 and debug_id_alias " [in_texts "$2"] "
            ) order by f.id desc
        ");
        if debug_ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(project_id).bind(json(debug_ids)).fetch_all(on).await
        })?;
        files(rows)
    }

    /// The live files of several projects under one of these debug ids (own or alias) or code ids, newest first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.of_projects")]
    pub async fn debug_files_of_projects(
        &self,
        project_ids: &[i64],
        debug_ids: &[DebugId],
        code_ids: &[CodeId],
    ) -> Result<Vec<DebugFile>, DbError> {
        // A look-up in each index, as above.
        const SQL: Sql = sql!("
            select " (file_columns) " from debug_files f where f.retired_at is null and f.id in (
                select id from debug_files where project_id " [in_numbers "$1"] " and debug_id " [in_texts "$2"] "
                union all
                select id from debug_files where project_id " [in_numbers "$1"] " and debug_id_alias " [in_texts "$2"] "
                union all
                select id from debug_files where project_id " [in_numbers "$1"] " and code_id " [in_texts "$3"] "
            ) order by f.id desc
        ");
        if project_ids.is_empty() || debug_ids.is_empty() && code_ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(json(project_ids)).bind(json(debug_ids)).bind(json(code_ids)).fetch_all(on).await
        })?;
        files(rows)
    }

    /// The live files of several projects under a UUID with whatever age, newest first.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.of_any_age")]
    pub async fn debug_files_of_any_age(&self, project_ids: &[i64], id: &DebugId) -> Result<Vec<DebugFile>, DbError> {
        // An age follows a dash, and the character behind a dash is a dot.
        const SQL: Sql = sql!("
            select " (file_columns) " from debug_files f
            where f.retired_at is null and f.project_id " [in_numbers "$1"] " and f.debug_id >= $2 and f.debug_id < $3
            order by f.id desc
        ");
        let (from, to) = (id.uuid(), format!("{}.", id.uuid()));
        let rows = on_db!(read self, SQL, |sql, on| {
            query_as(sql).bind(json(project_ids)).bind(from).bind(to.as_str()).fetch_all(on).await
        })?;
        files(rows)
    }

    /// The blobs of a file's chunks in order, with repeats.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_file_chunks.pieces")]
    pub async fn debug_file_pieces(&self, debug_file_id: i64) -> Result<Vec<BlobRef>, DbError> {
        const SQL: Sql = sql!(
            "
            select c.blob_key, c.encoding, c.size, c.stored_size
            from debug_file_chunks d join chunks c on c.id = d.chunk_id
            where d.debug_file_id = $1 order by d.position
        "
        );
        let rows: Vec<(String, String, i64, i64)> =
            on_db!(read self, SQL, |sql, on| query_as(sql).bind(debug_file_id).fetch_all(on).await)?;
        rows.into_iter().map(|(key, encoding, full, stored)| blob("chunks", key, &encoding, full, stored)).collect()
    }

    /// Deletes a live file with its symcaches, every remembered assembly of its content, and the retired files of its
    /// content and of its debug id, of which pollers would still hear that they are there. Returns the file and the
    /// keys of bytes that no row speaks of any more; `None` if there is no such file.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.delete")]
    pub async fn delete_debug_file(
        &self,
        project_id: i64,
        id: i64,
    ) -> Result<Option<(DebugFile, Vec<String>)>, DbError> {
        const ASSEMBLIES: Sql = sql!("delete from assemblies where project_id = $1 and sha1 = $2");
        const ROWS: Sql = sql!(
            "
            select id from debug_files where id = $3 or retired_at is not null and id in (
                select id from debug_files where project_id = $1 and sha1 = $2
                union all
                select id from debug_files where project_id = $1 and debug_id = $4
            ) order by id"[lock]
        );
        let Some(file) = self.debug_file(project_id, id).await? else { return Ok(None) };
        let sha1 = file.sha1.to_string();

        // The assembly first, as in a registration: whoever locks in one order never waits in a circle.
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, ASSEMBLIES, |sql, on| {
            query(sql).bind(project_id).bind(sha1.as_str()).execute(on).await.map(drop)
        })?;
        let ids: Vec<i64> = on_tx!(&mut tx, ROWS, |sql, on| {
            let debug_id = file.debug_id.as_str();
            query_scalar(sql).bind(project_id).bind(sha1.as_str()).bind(id).bind(debug_id).fetch_all(on).await
        })?;
        if !ids.contains(&id) {
            return Ok(None);
        }
        let keys = delete_files(&mut tx, &ids).await?;
        tx.commit().await?;
        Ok(Some((file, keys)))
    }

    /// Deletes up to `limit` files retired before `before`. Returns keys of bytes that no row speaks of any more, and how many files went.
    #[tracing::instrument(level = "debug", skip_all, name = "db.debug_files.purge_retired")]
    pub async fn purge_retired(&self, before: DateTime<Utc>, limit: i64) -> Result<(Vec<String>, u64), DbError> {
        const ROWS: Sql = sql!(
            "
            select id from debug_files where retired_at < $1 order by retired_at, id limit $2"[lock_free]
        );
        let mut tx = self.begin().await?;
        let ids: Vec<i64> =
            on_tx!(&mut tx, ROWS, |sql, on| query_scalar(sql).bind(before).bind(limit).fetch_all(on).await)?;
        if ids.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let keys = delete_files(&mut tx, &ids).await?;
        tx.commit().await?;
        Ok((keys, ids.len() as u64))
    }
}

/// Deletes files that are locked, and all that was made from them; returns the keys of bytes that nobody speaks of any more.
pub(super) async fn delete_files(tx: &mut super::engine::Tx, ids: &[i64]) -> Result<Vec<String>, DbError> {
    const CHUNKS: Sql = sql!("
        update chunks set in_use = 0 where id in (
            select id from chunks where id in (
                select d.chunk_id from debug_file_chunks d where d.debug_file_id " [in_numbers "$1"] "
            ) order by id" [lock_values] "
        )
    ");
    const FILES: Sql = sql!("delete from debug_files where id " [in_numbers "$1"]);
    let ids = json(ids);
    on_tx!(&mut *tx, CHUNKS, |sql, on| query(sql).bind(ids.as_str()).execute(on).await.map(drop))?;
    let mut keys = delete_with_files(tx, &ids).await?;
    keys.extend(derived_files::delete_with_files(tx, &ids).await?);
    on_tx!(tx, FILES, |sql, on| query(sql).bind(ids.as_str()).execute(on).await.map(drop))?;
    Ok(keys)
}
