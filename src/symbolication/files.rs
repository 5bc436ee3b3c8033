//! Which file of the project is the file of a module, its table, and a reason for each module that lacks one. It never looks
//! at files of another project.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::request::Module;
use super::{Symbolication, SymbolicationError};
use crate::debug_files::{Wanted, WantedId, What};
use crate::symcaches::{Absence, Table, candidate};
use crate::types::{CodeId, DebugFile, DebugId, Features, Format, Project, RequestedKinds};
use crate::upstreams::Brought;

/// Upstreams that one request asks at a time.
const MAX_CONCURRENT_FETCHES: usize = 8;

/// Where the table of a module stands: the words of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DebugStatus {
    /// It was used.
    Found,
    /// No frame is in the module.
    #[default]
    Unused,
    /// The project has no usable file.
    Missing,
    /// No table can be made of the file.
    Malformed,
    /// Files of this kind cannot serve this module.
    Unsupported,
    /// The table was not ready in time.
    Timeout,
    /// The store or an upstream had a transient error.
    FetchingFailed,
}

impl DebugStatus {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Unused => "unused",
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Timeout => "timeout",
            Self::FetchingFailed => "fetching_failed",
        }
    }
}

/// What the project has for a module.
#[derive(Clone, Debug, Default)]
pub struct ModuleFiles {
    /// Where its table stands.
    pub status: DebugStatus,
    /// Why, where there is none.
    pub detail: Option<String>,
    /// The table.
    pub table: Option<Table>,
    /// Row id of the file that the table is made of, or should have been.
    pub table_file: Option<i64>,
    /// The files of its ids, newest first.
    pub files: Vec<DebugFile>,
    /// What the files that were used have.
    pub features: Features,
    /// The newest source bundle of its debug id.
    pub bundle: Option<DebugFile>,
}

impl Symbolication {
    /// What the project has for the modules `used`, by their index. Waits no longer than three quarters of the
    /// whole time for what must be built or fetched.
    pub async fn files(
        &self,
        project: &Project,
        modules: &[Module],
        used: &BTreeSet<usize>,
    ) -> Result<HashMap<usize, ModuleFiles>, SymbolicationError> {
        let until = Instant::now() + self.longest_wait();
        let mut files = self.files_of(project.id, modules, used).await?;
        let absent: Vec<_> = used.iter().copied().filter(|at| effective_id(&modules[*at], &files).is_none()).collect();
        let faults = self.fetch(project.id, modules, &absent, until).await?;
        if faults.values().any(|fault| *fault == Brought::Stored) {
            files = self.files_of(project.id, modules, used).await?;
        }
        let ids: BTreeSet<_> = used.iter().filter_map(|at| effective_id(&modules[*at], &files)).collect();
        // A PE leads to its PDB, which has the same debug id and may have no code id.
        let asked: BTreeSet<_> = used.iter().filter_map(|at| modules[*at].debug_id.as_ref()).collect();
        let found_by_code: Vec<_> = ids.iter().filter(|id| !asked.contains(id)).cloned().collect();
        self.add_files_of(project.id, &found_by_code, &mut files).await?;
        let ids: Vec<_> = ids.into_iter().collect();
        let wait = until.saturating_duration_since(Instant::now());
        let tables = self.symcaches.tables(&[project.id], &ids, wait).await?;
        let mut found = HashMap::new();
        for &at in used {
            let module = &modules[at];
            let id = effective_id(module, &files);
            let table = id.as_ref().and_then(|id| tables.get(id).cloned());
            found.insert(at, module_files(module, id, &files, table, faults.get(&at)));
        }
        Ok(found)
    }

    /// The files of the ids of these modules, newest first.
    async fn files_of(
        &self,
        project_id: i64,
        modules: &[Module],
        used: &BTreeSet<usize>,
    ) -> Result<Vec<DebugFile>, SymbolicationError> {
        let debug_ids: BTreeSet<_> = used.iter().filter_map(|at| modules[*at].debug_id.clone()).collect();
        let code_ids: BTreeSet<_> = used.iter().filter_map(|at| modules[*at].code_id.clone()).collect();
        let (debug_ids, code_ids): (Vec<_>, Vec<_>) = (debug_ids.into_iter().collect(), code_ids.into_iter().collect());
        Ok(self.symcaches.db.debug_files_of_projects(&[project_id], &debug_ids, &code_ids).await?)
    }

    /// Adds the files of these debug ids.
    async fn add_files_of(
        &self,
        project_id: i64,
        ids: &[DebugId],
        files: &mut Vec<DebugFile>,
    ) -> Result<(), SymbolicationError> {
        if ids.is_empty() {
            return Ok(());
        }
        let known: BTreeSet<_> = files.iter().map(|file| file.id).collect();
        let more = self.symcaches.db.debug_files_of_projects(&[project_id], ids, &[]).await?;
        files.extend(more.into_iter().filter(|file| !known.contains(&file.id)));
        files.sort_by_key(|file| std::cmp::Reverse(file.id));
        Ok(())
    }

    /// Asks the upstreams of the project for modules that it has no file of, as the fetch of a symcache does.
    async fn fetch(
        &self,
        project_id: i64,
        modules: &[Module],
        absent: &[usize],
        until: Instant,
    ) -> Result<HashMap<usize, Brought>, SymbolicationError> {
        let asked = absent.iter().filter_map(|at| Some((*at, wanted(&modules[*at])?)));
        let fetches = stream::iter(asked.collect::<Vec<_>>()).map(|(at, wanted)| async move {
            let wait = until.saturating_duration_since(Instant::now()).min(Duration::from_secs(60));
            Ok::<_, SymbolicationError>((at, self.upstreams.bring(project_id, &wanted, wait).await?))
        });
        let mut faults = HashMap::new();
        let mut fetches = fetches.buffer_unordered(MAX_CONCURRENT_FETCHES);
        while let Some(fetched) = fetches.next().await {
            let (at, brought) = fetched?;
            faults.insert(at, brought);
        }
        Ok(faults)
    }

    /// Counts the modules that the project should have had.
    pub(super) fn note_missing(
        &self,
        project_id: i64,
        modules: &[Module],
        found: &HashMap<usize, ModuleFiles>,
        asker: &'static str,
    ) {
        for (at, files) in found.iter().filter(|(_, files)| files.status == DebugStatus::Missing) {
            let module = &modules[*at];
            let id = match (&module.debug_id, &module.code_id) {
                (Some(id), _) => WantedId::Debug(id.clone()),
                (None, Some(id)) => WantedId::Code(id.as_str().to_owned()),
                (None, None) => continue,
            };
            let name = module.debug_file.as_deref().or(module.code_file.as_deref()).map(base_name);
            self.symcaches.misses.note(project_id, &id, RequestedKinds::SYMCACHE, name, asker);
            tracing::debug!(project.id = project_id, detail = files.detail, "a module has no debug file");
        }
    }
}

/// The debug id under which the files of a module stand: its own, or the one that its code id leads to.
fn effective_id(module: &Module, files: &[DebugFile]) -> Option<DebugId> {
    if let Some(id) = &module.debug_id
        && files.iter().any(|file| is_of(file, id) && file.format != Format::SourceBundle)
    {
        return Some(id.clone());
    }
    let code_id = module.code_id.as_ref()?;
    let of_code: Vec<_> = files.iter().filter(|file| file.code_id.as_ref() == Some(code_id)).cloned().collect();
    candidate(&of_code).or(of_code.first()).map(|file| file.debug_id.clone())
}

fn is_of(file: &DebugFile, id: &DebugId) -> bool {
    file.debug_id == *id || file.debug_id_alias.as_ref() == Some(id)
}

fn wanted(module: &Module) -> Option<Wanted> {
    let is_pdb = |name: &&str| name.to_ascii_lowercase().ends_with(".pdb");
    let pdb = module.debug_file.as_deref().map(base_name).filter(is_pdb);
    match (pdb, &module.debug_id, &module.code_id) {
        (Some(name), Some(id), _) => {
            Some(Wanted { id: WantedId::Debug(id.clone()), what: What::Pdb, name: Some(name.to_owned()) })
        }
        (_, _, Some(id)) => Some(wanted_by_code(id)),
        _ => None,
    }
}

fn wanted_by_code(id: &CodeId) -> Wanted {
    Wanted { id: WantedId::Code(id.as_str().to_owned()), what: What::DebugInfo, name: None }
}

fn module_files(
    module: &Module,
    id: Option<DebugId>,
    files: &[DebugFile],
    table: Option<Result<Table, Absence>>,
    fault: Option<&Brought>,
) -> ModuleFiles {
    let of_module = |file: &&DebugFile| {
        id.as_ref().is_some_and(|id| is_of(file, id))
            || module.debug_id.as_ref().is_some_and(|id| is_of(file, id))
            || module.code_id.is_some() && file.code_id == module.code_id
    };
    let files: Vec<_> = files.iter().filter(of_module).cloned().collect();
    let of_id: Vec<_> = files.iter().filter(|file| id.as_ref().is_some_and(|id| is_of(file, id))).cloned().collect();
    let table_file = candidate(&of_id).cloned();
    let bundle = files.iter().find(|file| file.format == Format::SourceBundle).cloned();
    let (status, detail, table) = match table {
        _ if module.is_dotnet() && table_file.as_ref().is_some_and(|file| file.format == Format::Pdb) => {
            let reason = "Managed code needs a Portable PDB, and the file of this id is a PDB of Windows.";
            (DebugStatus::Unsupported, Some(reason.to_owned()), None)
        }
        Some(Ok(table)) => (DebugStatus::Found, None, Some(table)),
        Some(Err(Absence::Unusable(reason))) => (DebugStatus::Malformed, Some(reason), None),
        Some(Err(Absence::Unsupported(reason))) => (DebugStatus::Missing, Some(reason), None),
        Some(Err(Absence::NotYet(reason))) => (DebugStatus::Timeout, Some(reason), None),
        Some(Err(Absence::NoDebugFile)) | None => absent(module, fault),
    };
    let mut features = Features::default();
    for used in table_file.iter().filter(|_| status == DebugStatus::Found).chain(&bundle) {
        features = features.union(used.features);
    }
    ModuleFiles { status, detail, table, table_file: table_file.map(|file| file.id), files, features, bundle }
}

/// Why there is no file.
fn absent(module: &Module, fault: Option<&Brought>) -> (DebugStatus, Option<String>, Option<Table>) {
    let (status, detail) = match fault {
        Some(Brought::UnderWay) => {
            (DebugStatus::Timeout, "An upstream is still sending the file. Ask again.".to_owned())
        }
        Some(Brought::Unknown(reason)) => (DebugStatus::FetchingFailed, format!("It cannot be fetched now: {reason}.")),
        Some(Brought::NoRoom(reason)) => (DebugStatus::Missing, reason.clone()),
        _ => (DebugStatus::Missing, not_uploaded(module)),
    };
    (status, Some(detail), None)
}

fn not_uploaded(module: &Module) -> String {
    match (&module.debug_id, &module.code_id) {
        (Some(id), _) => {
            format!("The project has no debug file with the id {id}. Upload the debug file of this build.")
        }
        (None, Some(id)) => {
            format!(
                "The project has no debug file with the code id {}. Upload the debug file of this build.",
                id.as_str()
            )
        }
        (None, None) => {
            "The module has neither a debug id nor a code id that can be read, so no file can be found.".to_owned()
        }
    }
}

/// The last part of a path of Unix or Windows.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
