//! Minidumps: a child says which modules a dump has, the files of those modules are looked for, a second child walks the stacks
//! with their tables, and the frames get names like those of any request. No byte of a dump is read in this process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::files::DebugStatus;
use super::request::{Address, FrameOrder, Module, Options, RawFrame, StackTrace, SymbolicateRequest, Trust};
use super::{Asker, Prepared, Symbolication, SymbolicationError, failed, off_thread};
use crate::symcaches::sandbox::OnBehalf;
use crate::symcaches::{LookupError, candidate};
use crate::types::child_protocol::{DumpModule, MOST_FILES, WalkModule, WalkedDump};
use crate::types::{CodeId, DebugFile, DebugId, Features, Format};

/// Tables that one walk has; further modules are walked without. Each is a descriptor, of which a process may have as few as
/// 1 024 for all dumps and connections.
const MAX_TABLES: usize = 120;

/// With the dump and the result no more than a child is handed.
const _: () = assert!(MAX_TABLES + 2 <= MOST_FILES);

/// Files of one module whose call frame information serves together.
const MAX_CFI_FILES: usize = 3;

/// Tables that are made or copied at a time for one dump.
const MAX_CONCURRENT_TABLES: usize = 8;

/// What walking a module was done with.
#[derive(Clone, Debug, Default)]
pub struct Unwinding {
    /// Where its call frame information stands.
    pub status: DebugStatus,
    /// Why there is none.
    pub detail: Option<String>,
    /// Row id of the file that it is of.
    pub file: Option<i64>,
}

/// The tables of one module.
struct Tables {
    address: u64,
    cfi: Vec<File>,
    symcache: Option<File>,
    unwinding: Unwinding,
}

impl Symbolication {
    /// The text of the response to a dump: `completed`, `failed` if it cannot be read, `timeout` if it took too long.
    pub async fn minidump(&self, asker: &Asker, dump: &File, options: Options) -> Result<Vec<u8>, SymbolicationError> {
        self.in_time(self.name_dump(asker, dump, options)).await
    }

    async fn name_dump(&self, asker: &Asker, dump: &File, options: Options) -> Result<Vec<u8>, SymbolicationError> {
        let sandbox = &self.symcaches.sandbox;
        let on_behalf = OnBehalf::admitted(asker.project.organization_id);
        let surveyed = {
            let permit = sandbox.short_permit(on_behalf).await?;
            sandbox.survey(&permit, dump).await?
        };
        let survey = match surveyed {
            Ok(survey) => survey,
            Err(reason) => return Ok(failed(&reason)),
        };
        let (modules_of_dump, tables) = self.tables_of(asker, survey.modules).await?;
        let (mut modules, mut files) = (Vec::new(), Vec::new());
        let mut unwinding = HashMap::new();
        for table in tables {
            let symcache = table.symcache.is_some();
            modules.push(WalkModule { address: table.address, cfi: table.cfi.len(), symcache });
            files.extend(table.cfi.into_iter().chain(table.symcache));
            unwinding.insert(table.address, table.unwinding);
        }
        let walked = {
            let permit = sandbox.short_permit(on_behalf).await?;
            sandbox.walk(&permit, dump, modules, &files).await?
        };
        drop(files);
        let walked = match walked {
            Ok(walked) => walked,
            Err(reason) => return Ok(failed(&reason)),
        };
        let prepared = off_thread(move || prepared(modules_of_dump, walked, unwinding, options)).await?;
        self.complete(asker, prepared).await
    }

    /// The modules of a dump, and the tables of those that the project has files of.
    async fn tables_of(
        &self,
        asker: &Asker,
        modules: Vec<DumpModule>,
    ) -> Result<(Vec<Module>, Vec<Tables>), SymbolicationError> {
        let until = Instant::now() + self.longest_wait();
        let read = move || modules.into_iter().map(of_dump).collect::<Vec<_>>();
        let modules = off_thread(read).await?;
        let debug_ids: Vec<_> = modules.iter().filter_map(|module| module.debug_id.clone()).collect();
        let code_ids: Vec<_> = modules.iter().filter_map(|module| module.code_id.clone()).collect();
        let files = self.symcaches.db.debug_files_of_projects(&[asker.project.id], &debug_ids, &code_ids).await?;
        let (modules, wanted) = off_thread(move || {
            let wanted = wanted_tables(&modules, &files);
            (modules, wanted)
        })
        .await?;
        let making =
            stream::iter(wanted).map(|(address, files)| self.tables_of_module(asker.project.id, address, files, until));
        let mut made = making.buffered(MAX_CONCURRENT_TABLES);
        let mut tables = Vec::new();
        while let Some(table) = made.next().await {
            tables.push(table?);
        }
        Ok((modules, tables))
    }

    async fn tables_of_module(
        &self,
        project_id: i64,
        address: u64,
        files: Vec<DebugFile>,
        until: Instant,
    ) -> Result<Tables, SymbolicationError> {
        let mut tables = Tables { address, cfi: Vec::new(), symcache: None, unwinding: Unwinding::default() };
        for file in files.iter().filter(|file| unwinds(file)).take(MAX_CFI_FILES) {
            let made = tokio::time::timeout_at(until, self.symcaches.cfi_table(file)).await;
            match made.unwrap_or(Err(LookupError::NotYet)) {
                Ok(Ok(table)) => {
                    tables.unwinding.file.get_or_insert(file.id);
                    tables.cfi.push(table);
                }
                Ok(Err(reason)) => {
                    tables.unwinding.status = DebugStatus::Malformed;
                    tables.unwinding.detail = Some(reason);
                }
                Err(LookupError::Db(error)) => return Err(error.into()),
                Err(LookupError::NotYet) => {
                    tables.unwinding.status = DebugStatus::Timeout;
                    tables.unwinding.detail = Some("Its call frame information is being read. Ask again.".to_owned());
                }
                Err(error) => {
                    tables.unwinding.status = DebugStatus::FetchingFailed;
                    tables.unwinding.detail = Some(format!("Its call frame information cannot be had now: {error}."));
                }
            }
        }
        if let Some(file) = candidate(&files) {
            let wait = until.saturating_duration_since(Instant::now());
            tables.symcache = self.symcaches.symcache_file(project_id, &file.debug_id, wait).await.unwrap_or_default();
        }
        Ok(tables)
    }
}

/// Which files the tables of each module are made of, by the beginning of the module: as many as one walk may have. Each
/// module is looked for once.
fn wanted_tables(modules: &[Module], files: &[DebugFile]) -> Vec<(u64, Vec<DebugFile>)> {
    let mut by_debug_id: HashMap<&DebugId, Vec<&DebugFile>> = HashMap::new();
    let mut by_code_id: HashMap<&CodeId, Vec<&DebugFile>> = HashMap::new();
    for file in files {
        for id in [Some(&file.debug_id), file.debug_id_alias.as_ref()].into_iter().flatten() {
            by_debug_id.entry(id).or_default().push(file);
        }
        if let Some(id) = &file.code_id {
            by_code_id.entry(id).or_default().push(file);
        }
    }
    let (mut wanted, mut left) = (Vec::new(), MAX_TABLES);
    for module in modules {
        let by_debug_id = module.debug_id.as_ref().and_then(|id| by_debug_id.get(id)).into_iter().flatten();
        let by_code_id = module.code_id.as_ref().and_then(|id| by_code_id.get(id)).into_iter().flatten();
        // Newest first, each once.
        let found: BTreeMap<_, _> =
            by_debug_id.chain(by_code_id).map(|file| (std::cmp::Reverse(file.id), *file)).collect();
        let files: Vec<_> = found.into_values().cloned().collect();
        let with_cfi = files.iter().filter(|file| unwinds(file)).count();
        let tables = with_cfi.min(MAX_CFI_FILES) + usize::from(candidate(&files).is_some());
        if tables > 0 && tables <= left {
            left -= tables;
            wanted.push((module.image_addr.0, files));
        }
    }
    wanted
}

/// Whether a file may have call frame information.
fn unwinds(file: &DebugFile) -> bool {
    file.features.contains(Features::UNWIND) && file.format.has_addresses() && file.format != Format::Wasm
}

/// The walked stacks as a request to name their frames.
fn prepared(
    modules: Vec<Module>,
    walked: WalkedDump,
    mut tables: HashMap<u64, Unwinding>,
    options: Options,
) -> Prepared {
    let frames = walked.threads.iter().flat_map(|thread| &thread.frames);
    let frames: BTreeSet<_> = frames.map(|frame| frame.address).collect();
    let mut unwinding = HashMap::new();
    let mut kept = Vec::new();
    for module in modules {
        let begin = module.image_addr.0;
        let has_frame = frames.range(begin..begin.saturating_add(module.size().unwrap_or_default())).next().is_some();
        if module.debug_id.is_none() && module.code_id.is_none() && !has_frame {
            continue;
        }
        let mut found = tables.remove(&begin).unwrap_or_default();
        if walked.used.contains(&begin) && found.file.is_some() {
            (found.status, found.detail) = (DebugStatus::Found, None);
        } else if found.file.is_none() && has_frame && found.status == DebugStatus::Unused {
            found.status = DebugStatus::Missing;
            let reason = "The project has no file of this module with call frame information. Upload the executable or \
                          library itself.";
            found.detail = Some(reason.to_owned());
        }
        unwinding.insert(kept.len(), found);
        kept.push(module);
    }
    let stacktraces = walked.threads.into_iter().map(|thread| StackTrace {
        thread_id: Some(u64::from(thread.id)),
        thread_name: thread.name,
        is_requesting: Some(thread.crashed),
        registers: Some(thread.registers.into_iter().map(|(name, value)| (name, Address(value))).collect()),
        frames: thread.frames.iter().map(|frame| raw(frame.address, &frame.trust)).collect(),
        truncated: thread.truncated,
    });
    let request = SymbolicateRequest {
        stacktraces: stacktraces.collect(),
        modules: kept,
        options: Options { frame_order: FrameOrder::CalleeFirst, ..options },
        ..SymbolicateRequest::default()
    };
    Prepared { request, facts: walked.facts, unwinding: Some(unwinding) }
}

fn of_dump(module: DumpModule) -> Module {
    Module {
        kind: Some(module.kind),
        debug_id: module.debug_id.and_then(|id| id.parse().ok()).filter(|id: &DebugId| !id.is_nil()),
        code_id: module.code_id.map(|id| CodeId::new(&id)).filter(|id| !id.as_str().is_empty()),
        debug_file: module.debug_file,
        code_file: Some(module.code_file),
        image_addr: Address(module.address),
        image_size: Some(Address(module.size)),
    }
}

fn raw(address: u64, trust: &str) -> RawFrame {
    let trust = match trust {
        "context" => Trust::Context,
        "cfi" => Trust::Cfi,
        "fp" => Trust::Fp,
        "scan" => Trust::Scan,
        "cfiscan" => Trust::CfiScan,
        "prewalked" => Trust::Prewalked,
        _ => Trust::None,
    };
    RawFrame { instruction_addr: Address(address), trust, ..RawFrame::default() }
}
