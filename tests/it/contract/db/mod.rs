//! What every engine promises about rows: one suite of sentences, run on `SQLite` and on `PostgreSQL`.

mod accounts;
mod assemblies;
mod chunks;
mod debug_files;
mod derived_files;
mod engine;
mod file_list;
mod jobs;
mod limits;
mod misses;
mod races;
mod registration;
mod retention;
mod symbol_keys;
mod symcaches;
mod upkeep;
mod upstreams;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::AssertSqlSafe;
use symdepot::db::{Closing, Db, NewAssembly, NewSymcache, Registered, SymcacheKey};
use symdepot::types::{
    Assembly, BlobRef, Chunk, CodeId, DebugFile, Encoding, Features, Format, Kind, NewDebugFile, Organization, Project,
    Sha1,
};

use crate::support::claims::ClaimAssembly as _;
use crate::support::database::{Engine, TestDatabase};

/// Runs each sentence on both engines, in a house of its own.
macro_rules! on_both_engines {
    ($($sentence:ident,)+) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $sentence() {
                    super::$sentence(&super::House::build(crate::support::database::Engine::Sqlite).await).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $sentence() {
                    super::$sentence(&super::House::build(crate::support::database::Engine::Postgres).await).await;
                }
            )+
        }
    };
}
use on_both_engines;

/// The converter in use.
const CONVERTER: &str = "symbolic-1";

/// A database with one organization and one project.
struct House {
    db: Db,
    organization: Organization,
    project: Project,
    database: TestDatabase,
}

impl House {
    async fn build(engine: Engine) -> Self {
        let database = TestDatabase::migrated(engine).await;
        let db = database.connect().await;
        let organization = db.create_organization("acme", at(0)).await.unwrap();
        let project = db.create_project(organization.id, "game", at(0)).await.unwrap();
        Self { db, organization, project, database }
    }

    /// Another owner with a project.
    async fn neighbour(&self) -> (Organization, Project) {
        let organization = self.db.create_organization("rival", at(0)).await.unwrap();
        let project = self.db.create_project(organization.id, "game", at(0)).await.unwrap();
        (organization, project)
    }

    /// A chunk with the content `text`, owned by the organization.
    async fn chunk(&self, text: &str) -> Chunk {
        let blob = blob(&format!("chunks/{text}"));
        self.db.add_chunk(self.organization.id, sha1(text), &blob, at(0)).await.unwrap()
    }

    /// A wanted file with the content `text`, of one chunk that nobody needs to have.
    fn wanted(&self, text: &str) -> NewAssembly {
        NewAssembly {
            project_id: self.project.id,
            organization_id: self.organization.id,
            sha1: sha1(text),
            name: format!("{text}.so"),
            debug_id: None,
            chunks: vec![sha1(text)],
            size: 7,
        }
    }

    /// A queued file that `lease` holds from second 1 to 31.
    async fn claimed(&self, text: &str, lease: &str) -> Assembly {
        let queued = self.db.queue_assemblies(&[self.wanted(text)], at(1)).await.unwrap();
        assert_eq!(queued, [sha1(text)]);
        let claimed = self.db.claim_assembly(&[], lease, at(31), at(1)).await.unwrap().unwrap();
        assert_eq!(claimed.sha1, sha1(text));
        claimed
    }

    /// A file with the content `text` under debug id number `id`, without chunks.
    fn new_file(&self, text: &str, id: u32) -> NewDebugFile {
        NewDebugFile {
            project_id: self.project.id,
            sha1: sha1(text),
            size: 3,
            debug_id: debug_id(id).parse().unwrap(),
            debug_id_alias: None,
            code_id: Some(CodeId::new(&format!("c0de{id:04}"))),
            object_name: format!("{text}.so"),
            cpu_name: "x86_64".to_owned(),
            format: Format::Elf,
            kind: Kind::Library,
            features: Features::DEBUG.union(Features::SYMTAB),
            note: None,
            supplement_id: None,
            is_supplement: false,
            chunk_ids: Vec::new(),
        }
    }

    /// Registers a file that must be new.
    async fn register(&self, file: &NewDebugFile) -> DebugFile {
        created(self.db.register_debug_file(file, None, None, |_| Vec::new(), at(2)).await.unwrap())
    }

    /// Runs a statement past the room, as a later version or another program might. Returns how many rows it touched.
    async fn raw(&self, statement: &str) -> Result<u64, sqlx::Error> {
        let url = self.database.url.as_str();
        match url.strip_prefix("sqlite://") {
            Some(path) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                let pool = sqlx::SqlitePool::connect_with(options).await?;
                Ok(sqlx::query(AssertSqlSafe(statement)).execute(&pool).await?.rows_affected())
            }
            None => {
                let pool = sqlx::PgPool::connect(url).await?;
                Ok(sqlx::query(AssertSqlSafe(statement)).execute(&pool).await?.rows_affected())
            }
        }
    }
}

/// A point in time.
fn at(second: i64) -> DateTime<Utc> {
    let start = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
    start + TimeDelta::seconds(second)
}

fn sha1(text: &str) -> Sha1 {
    Sha1::of(text.as_bytes())
}

fn debug_id(number: u32) -> String {
    format!("00000000-0000-0000-0000-{number:012x}")
}

fn blob(key: &str) -> BlobRef {
    BlobRef { key: key.to_owned(), encoding: Encoding::Zstd, size: 7, stored_size: 5 }
}

fn closing(assembly: &Assembly, lease: &str) -> Closing {
    Closing { assembly_id: assembly.id, lease_token: lease.to_owned() }
}

fn key(debug_file_id: i64) -> SymcacheKey {
    SymcacheKey { debug_file_id, format_version: 8, converter_version: CONVERTER.to_owned(), mappings: String::new() }
}

/// A symcache whose bytes are at `blob_key`.
fn ready(key: SymcacheKey, blob_key: &str) -> NewSymcache {
    NewSymcache { key, outcome: Ok((sha1(blob_key), blob(blob_key))), statistics: None }
}

/// A conversion that failed.
fn malformed(key: SymcacheKey, reason: &str) -> NewSymcache {
    NewSymcache { key, outcome: Err(reason.to_owned()), statistics: None }
}

fn created(registered: Registered) -> DebugFile {
    match registered {
        Registered::Created(file) => file,
        other => panic!("not a new file: {other:?}"),
    }
}

/// What `each` gives when it runs `times` times at once.
async fn at_once<T, F>(times: usize, each: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(times));
    let tasks: Vec<_> = (0..times)
        .map(|number| {
            let (barrier, work) = (barrier.clone(), each(number));
            tokio::spawn(async move {
                barrier.wait().await;
                work.await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}
