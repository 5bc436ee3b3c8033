//! From stack traces to named frames, by the debug files of one project: statuses, inlined calls, lines of source, and a reason
//! for every module that lacks something.
//!
//! It never reads the bytes of a debug file in this process: it looks addresses up in tables that the child process wrote.
//! Files of other projects are never looked at.

mod adjust;
mod apple;
mod context;
mod dump;
mod files;
mod frames;
mod jvm;
mod modules;
mod request;
mod response;
mod response_modules;
mod results;
mod text_report;
mod unpack;

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use jvm::JvmRequest;
pub use request::{Options, SymbolicateRequest};
pub use results::{failed, pending, timed_out};
pub use text_report::text_report;
pub use unpack::{UnpackError, unpacked};

use crate::admission::WorkLimiter;
use crate::blobs::BlobError;
use crate::cache::ResultCache;
use crate::config;
use crate::db::DbError;
use crate::symcaches::sandbox::SandboxError;
use crate::symcaches::{LookupError, Symcaches};
use crate::types::Project;
use crate::upstreams::Upstreams;
use context::SourceContext;
use dump::Unwinding;
use frames::{Resolved, module_of};
use modules::ModuleMap;
use request::{MAX_MODULES, MAX_MODULES_WITH_FRAMES};
use response::{Extras, TooLong};

/// Dumps that are walked at a time.
const DUMPS_PER_CORE: usize = 2;

/// Bodies that may arrive for each request that is worked on.
const BODIES_PER_REQUEST: usize = 2;

/// The handles of symbolication. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Symbolication {
    symcaches: Symcaches,
    upstreams: Upstreams,
    settings: config::Symbolication,
    /// How many requests are worked on at a time.
    pub limiter: WorkLimiter,
    /// How many dumps are walked at a time.
    pub dumps: WorkLimiter,
    /// How many bodies arrive at a time. A slow sender holds one of these and none of the others.
    pub bodies: WorkLimiter,
    /// Responses for those who ask again.
    pub results: ResultCache,
}

/// Whose files a request is answered from, and who asks.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The project.
    pub project: Arc<Project>,
    /// `ORG/PROJECT`, for the addresses of candidates.
    pub path: String,
    /// The kind of client, as it is counted in misses.
    pub kind: &'static str,
}

/// A request, and what its response says beside its frames.
#[derive(Debug)]
struct Prepared {
    request: SymbolicateRequest,
    /// Fields of the response.
    facts: serde_json::Map<String, serde_json::Value>,
    /// Of a dump: what each module was walked with, by its index.
    unwinding: Option<HashMap<usize, Unwinding>>,
}

/// Why a request has no response.
#[derive(Debug, thiserror::Error)]
pub enum SymbolicationError {
    /// It breaks a limit; the sentence is for the client.
    #[error("{0}")]
    Limit(String),
    /// The tables of its modules.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// Rows.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Looking up.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The child process.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl Symbolication {
    /// Symbolication over these handles.
    pub fn new(
        settings: &config::Symbolication,
        symcaches: &Symcaches,
        upstreams: &Upstreams,
        results: ResultCache,
    ) -> Self {
        let limiter =
            |permits: usize| WorkLimiter::with_share(permits, permits.div_ceil(2), settings.queue, settings.timeout);
        Self {
            limiter: limiter(settings.parallel),
            dumps: limiter(DUMPS_PER_CORE * config::or_cores(0)),
            bodies: limiter(BODIES_PER_REQUEST * settings.parallel),
            symcaches: symcaches.clone(),
            upstreams: upstreams.clone(),
            settings: settings.clone(),
            results,
        }
    }

    /// The text of the response to a request: `completed`, or `timeout` if it took too long.
    pub async fn symbolicate(&self, asker: &Asker, request: SymbolicateRequest) -> Result<Vec<u8>, SymbolicationError> {
        let prepared = Prepared { request, facts: serde_json::Map::new(), unwinding: None };
        self.in_time(self.complete(asker, prepared)).await
    }

    async fn complete(&self, asker: &Asker, prepared: Prepared) -> Result<Vec<u8>, SymbolicationError> {
        let Prepared { request, facts, unwinding } = prepared;
        let assigned = move || {
            let map = ModuleMap::new(&request.modules);
            let used = used_modules(&request, &map)?;
            Ok::<_, SymbolicationError>((request, map, used))
        };
        let (request, map, used) = off_thread(assigned).await??;
        let files = self.files(&asker.project, &request.modules, &used).await?;
        self.note_missing(asker.project.id, &request.modules, &files, asker.kind);
        let with_context = request.options.apply_source_context && files.values().any(|files| files.bundle.is_some());
        let resolved = Arc::new(Resolved { request, map, files, unwinding });
        let project = asker.path.clone();
        let written = if with_context {
            let naming = Arc::clone(&resolved);
            let named = self.symcaches.look_up(move || naming.name_all()).await?;
            let context = self.context(&resolved, &named).await;
            let extras = Extras { context, project, facts };
            self.symcaches.look_up(move || response::write(&resolved, &named, &extras)).await?
        } else {
            let extras = Extras { context: SourceContext::default(), project, facts };
            self.symcaches.look_up(move || response::write(&resolved, &resolved.name_all(), &extras)).await?
        };
        written.map_err(|TooLong| {
            SymbolicationError::Limit("The response would be too long. Ask for fewer frames at a time.".to_owned())
        })
    }

    /// The response of `work`, or `timeout` if it takes too long.
    async fn in_time(
        &self,
        work: impl Future<Output = Result<Vec<u8>, SymbolicationError>>,
    ) -> Result<Vec<u8>, SymbolicationError> {
        tokio::time::timeout(self.settings.timeout, work).await.unwrap_or_else(|_| Ok(timed_out()))
    }

    /// How long a request waits for tables that must be made or fetched: less than in all, so that the rest is answered.
    fn longest_wait(&self) -> Duration {
        self.settings.timeout * 3 / 4
    }
}

/// Does work that grows with a request where it keeps no other request waiting.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SymbolicationError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| BlobError::io("name the frames of a request", std::io::Error::other(error)).into())
}

/// The modules that frames are in.
fn used_modules(request: &SymbolicateRequest, map: &ModuleMap) -> Result<BTreeSet<usize>, SymbolicationError> {
    let frames = request.stacktraces.iter().flat_map(|stack| &stack.frames);
    let used: BTreeSet<_> = frames.filter_map(|frame| module_of(request, map, frame)).collect();
    let (modules, with_frames) = (request.modules.len(), used.len());
    if modules > MAX_MODULES {
        return Err(SymbolicationError::Limit(format!("Too many modules, {modules}: send at most {MAX_MODULES}.")));
    }
    if with_frames > MAX_MODULES_WITH_FRAMES {
        return Err(SymbolicationError::Limit(format!(
            "Frames are in too many modules, {with_frames}: send frames in at most {MAX_MODULES_WITH_FRAMES} modules."
        )));
    }
    Ok(used)
}
