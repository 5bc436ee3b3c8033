//! Debug files and symcaches put behind the front door, where a test is about what is answered of them and not about
//! how they came to be.

use std::io::Write as _;

use symdepot::blobs::{BlobKey, SpoolWriter};
use symdepot::config::Compression;
use symdepot::db::{NewSymcache, Registered, SymcacheInsert, SymcacheKey};
use symdepot::symcaches::sandbox::FORMAT_VERSION;
use symdepot::types::{BlobRef, CodeId, DebugFile, Encoding, Features, Format, Kind, NewDebugFile, Sha1, Symcache};
use symdepot::uploads::accept_chunk;

use super::server::{Account, TestServer};

/// A debug file to put there. The defaults are those of an ELF debug companion.
#[derive(Clone, Debug)]
pub struct Record {
    /// Name under which it was uploaded.
    pub name: String,
    /// Content, which nothing looks at.
    pub content: Vec<u8>,
    /// Debug id.
    pub debug_id: String,
    /// Code id.
    pub code_id: Option<String>,
    /// Format.
    pub format: Format,
    /// Kind.
    pub kind: Kind,
    /// Features.
    pub features: Features,
    /// Architecture.
    pub cpu_name: String,
    /// Size of the chunks it is stored in.
    pub chunk_size: usize,
}

impl Record {
    /// A file of an id, whose content is its name.
    pub fn new(name: &str, debug_id: &str) -> Self {
        Self {
            name: name.to_owned(),
            content: name.as_bytes().to_vec(),
            debug_id: debug_id.to_owned(),
            code_id: None,
            format: Format::Elf,
            kind: Kind::Debug,
            features: Features::DEBUG,
            cpu_name: "x86_64".to_owned(),
            chunk_size: 8 << 20,
        }
    }
}

impl TestServer {
    /// Stores a debug file as an assembly would.
    pub async fn put_file(&self, account: &Account, record: Record) -> DebugFile {
        let mut chunk_ids = Vec::new();
        for chunk in record.content.chunks(record.chunk_size) {
            chunk_ids.push(self.put_chunk(account, chunk).await);
        }
        let file = NewDebugFile {
            project_id: account.project.id,
            sha1: Sha1::of(&record.content),
            size: record.content.len() as u64,
            debug_id: record.debug_id.parse().unwrap(),
            debug_id_alias: None,
            code_id: record.code_id.as_deref().map(CodeId::new),
            object_name: record.name,
            cpu_name: record.cpu_name,
            format: record.format,
            kind: record.kind,
            features: record.features,
            note: None,
            supplement_id: None,
            is_supplement: false,
            chunk_ids,
        };
        let nothing_goes = |_: &[DebugFile]| Vec::new();
        let now = self.app.clock.now();
        match self.app.db.register_debug_file(&file, None, None, nothing_goes, now).await.unwrap() {
            Registered::Created(file) | Registered::Existing(file) => file,
            Registered::LeaseLost => unreachable!("there is no lease"),
        }
    }

    /// Stores what came of converting a file: bytes, or the reason why there are none.
    pub async fn put_symcache(&self, file: &DebugFile, outcome: Result<&[u8], &str>) -> Symcache {
        let outcome = match outcome {
            Ok(bytes) => Ok((Sha1::of(bytes), self.put_blob(bytes).await)),
            Err(reason) => Err(reason.to_owned()),
        };
        let key = SymcacheKey {
            debug_file_id: file.id,
            format_version: FORMAT_VERSION,
            converter_version: self.app.symcaches.converter_version.clone(),
            mappings: String::new(),
        };
        let inserted = self
            .app
            .db
            .insert_symcache(&NewSymcache { key, outcome, statistics: None }, self.app.clock.now())
            .await
            .unwrap();
        match inserted {
            SymcacheInsert::Inserted(row) => row,
            other => panic!("the symcache was not stored: {other:?}"),
        }
    }

    async fn put_chunk(&self, account: &Account, content: &[u8]) -> i64 {
        let app = &self.app;
        let mut writer = SpoolWriter::new(app.blobs.spool().await.unwrap(), Compression::Zstd).unwrap();
        writer.write_all(content).unwrap();
        let spooled = writer.finish().unwrap();
        let owner = account.organization.id;
        accept_chunk(&app.db, app.blobs.as_ref(), &app.clock, owner, Sha1::of(content), spooled).await.unwrap().id
    }

    async fn put_blob(&self, bytes: &[u8]) -> BlobRef {
        let mut writer = SpoolWriter::new(self.app.blobs.spool().await.unwrap(), Compression::None).unwrap();
        writer.write_all(bytes).unwrap();
        let spooled = writer.finish().unwrap();
        let key = BlobKey::fresh("symcaches", self.app.clock.fresh_id());
        self.app.blobs.put(&key, spooled.spool).await.unwrap();
        let size = bytes.len() as u64;
        BlobRef { key: key.to_string(), encoding: Encoding::Raw, size, stored_size: size }
    }
}
