//! Stack traces of Java and Kotlin whose names were shortened: classes, methods and lines by the ProGuard mappings of the
//! project. Tables are made by the child process; nothing of a mapping is read here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::request::{FrameOrder, read_limited};
use super::{Asker, Symbolication, SymbolicationError};
use crate::debug_files::WantedId;
use crate::symcaches::NameTable;
use crate::types::child_protocol::{SourceLines, SourceWant};
use crate::types::{DebugFile, DebugId, Format, RequestedKinds};
use proguard::{ProguardCache, StackFrame};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Frames of a request.
const MAX_FRAMES: usize = 100_000;

/// Mappings and bundles of a request.
const MAX_MODULES: usize = 64;

/// A request to bring names back.
#[derive(Clone, Debug, Deserialize)]
pub struct JvmRequest {
    #[serde(default)]
    exceptions: Option<Vec<Exception>>,
    #[serde(default)]
    stacktraces: Option<Vec<Trace>>,
    #[serde(default)]
    modules: Option<Vec<JvmModule>>,
    #[serde(default)]
    classes: Option<Vec<String>>,
    #[serde(default)]
    release_package: Option<String>,
    #[serde(default)]
    options: Option<JvmOptions>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Exception {
    #[serde(rename = "type")]
    kind: String,
    module: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Trace {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exception: Option<Exception>,
    frames: Vec<JvmFrame>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct JvmFrame {
    function: String,
    module: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    abs_path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lineno: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pre_context: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context_line: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    post_context: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    in_app: Option<bool>,
    index: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct JvmModule {
    uuid: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct JvmOptions {
    apply_source_context: Option<bool>,
    frame_order: Option<FrameOrder>,
}

impl JvmRequest {
    /// Reads a body, or says in a sentence what is wrong with it.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let request: Self = read_limited(body)?;
        let frames: usize = request.stacktraces.iter().flatten().map(|trace| trace.frames.len()).sum();
        if frames > MAX_FRAMES {
            return Err(format!("The request has too many frames, {frames}: send at most {MAX_FRAMES}."));
        }
        let modules = request.modules.as_ref().map_or(0, Vec::len);
        if modules > MAX_MODULES {
            return Err(format!("The request has too many modules, {modules}: send at most {MAX_MODULES}."));
        }
        Ok(request)
    }

    fn order(&self) -> FrameOrder {
        self.options.and_then(|options| options.frame_order).unwrap_or(FrameOrder::CallerFirst)
    }
}

impl Symbolication {
    /// The text of the response: `completed`, or `timeout` if it took too long.
    pub async fn jvm(&self, asker: &Asker, request: JvmRequest) -> Result<Vec<u8>, SymbolicationError> {
        self.in_time(self.map_traces(asker, request)).await
    }

    async fn map_traces(&self, asker: &Asker, mut request: JvmRequest) -> Result<Vec<u8>, SymbolicationError> {
        let modules = request.modules.take().unwrap_or_default();
        let ids: BTreeSet<_> = modules.iter().filter_map(|module| module.uuid.parse::<DebugId>().ok()).collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let files = self.symcaches.db.debug_files_of_projects(&[asker.project.id], &ids, &[]).await?;
        let (mut tables, mut errors) = (Vec::new(), Vec::new());
        for module in modules.iter().filter(|module| module.kind == "proguard") {
            match self.mapping(asker, module, &files).await? {
                Ok(table) => tables.push(table),
                Err(kind) => errors.push(json!({ "uuid": module.uuid, "type": kind })),
            }
        }
        let order = request.order();
        let with_context = request.options.and_then(|options| options.apply_source_context).unwrap_or(true);
        let mapped = self.symcaches.look_up(move || Mapped::of(&request, &tables)).await?;
        let mut lines = Vec::new();
        if with_context {
            for module in modules.iter().filter(|module| module.kind == "source") {
                lines.extend(self.lines(module, &files, &mapped.wants).await);
            }
        }
        Ok(self.symcaches.look_up(move || mapped.response(&lines, order, errors)).await?)
    }

    /// The table of a mapping, or the word for why there is none.
    async fn mapping(
        &self,
        asker: &Asker,
        module: &JvmModule,
        files: &[DebugFile],
    ) -> Result<Result<NameTable, &'static str>, SymbolicationError> {
        let id = module.uuid.parse::<DebugId>().ok();
        let of_id = |file: &&DebugFile| id.as_ref().is_some_and(|id| file.debug_id.uuid() == id.uuid());
        match files.iter().filter(of_id).find(|file| file.format == Format::Proguard) {
            Some(file) => Ok(self.symcaches.name_table(file).await?.map_err(|_| "invalid")),
            None => {
                if let Some(id) = id {
                    let (id, kinds) = (WantedId::Debug(id), RequestedKinds::ANY);
                    self.symcaches.misses.note(asker.project.id, &id, kinds, None, asker.kind);
                }
                Ok(Err("missing"))
            }
        }
    }

    /// Lines of source out of a bundle.
    async fn lines(&self, module: &JvmModule, files: &[DebugFile], wants: &[SourceWant]) -> Vec<SourceLines> {
        let Ok(id) = module.uuid.parse::<DebugId>() else { return Vec::new() };
        let is_bundle = |file: &&DebugFile| file.format == Format::SourceBundle && file.debug_id.uuid() == id.uuid();
        let Some(bundle) = files.iter().find(is_bundle) else { return Vec::new() };
        match self.symcaches.source_lines(bundle, wants.to_vec()).await {
            Ok(found) => found,
            Err(error) => {
                tracing::info!(debug_file.id = bundle.id, %error, "no lines of a source bundle can be had");
                Vec::new()
            }
        }
    }
}

/// Traces with their names back, innermost frame first.
struct Mapped {
    exceptions: Vec<Exception>,
    traces: Vec<Trace>,
    classes: BTreeMap<String, String>,
    /// Lines of source that its frames want.
    wants: Vec<SourceWant>,
}

impl Mapped {
    fn of(request: &JvmRequest, tables: &[NameTable]) -> Self {
        let tables: Vec<_> = tables.iter().filter_map(|table| ProguardCache::parse(table.bytes()).ok()).collect();
        let mapper = Mapper { tables: &tables, release_package: request.release_package.as_deref() };
        let exceptions = request.exceptions.iter().flatten().map(|exception| mapper.exception(exception)).collect();
        let traces = request.stacktraces.iter().flatten().map(|trace| mapper.trace(trace, request.order())).collect();
        let class = |class: &String| Some((class.clone(), mapper.class(class)?.to_owned()));
        let classes = request.classes.iter().flatten().filter_map(class).collect();
        let mut mapped = Self { exceptions, traces, classes, wants: Vec::new() };
        let mut wants: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        for frame in mapped.traces.iter().flat_map(|trace| &trace.frames) {
            if let (Some(url), Some(line)) = (source_url(frame), frame.lineno.filter(|line| *line > 0)) {
                wants.entry(url).or_default().insert(line);
            }
        }
        mapped.wants = wants.into_iter().map(|(path, lines)| SourceWant { path, lines }).collect();
        mapped
    }

    fn add_lines(&mut self, found: &[SourceLines]) {
        let found: HashMap<_, _> = found.iter().map(|lines| ((lines.path.as_str(), lines.number), lines)).collect();
        for frame in self.traces.iter_mut().flat_map(|trace| &mut trace.frames) {
            let (Some(url), Some(line)) = (source_url(frame), frame.lineno) else { continue };
            if let Some(lines) = found.get(&(url.as_str(), line)) {
                frame.pre_context = Some(lines.before.clone());
                frame.context_line = Some(lines.line.clone());
                frame.post_context = Some(lines.behind.clone());
            }
        }
    }

    fn response(mut self, lines: &[SourceLines], order: FrameOrder, errors: Vec<Value>) -> Vec<u8> {
        self.add_lines(lines);
        if order == FrameOrder::CallerFirst {
            self.traces.iter_mut().for_each(|trace| trace.frames.reverse());
        }
        let response = json!({
            "status": "completed",
            "exceptions": self.exceptions,
            "stacktraces": self.traces,
            "classes": self.classes,
            "errors": errors,
        });
        response.to_string().into_bytes()
    }
}

/// Looks up in several tables; the first that knows something wins.
struct Mapper<'a> {
    tables: &'a [ProguardCache<'a>],
    release_package: Option<&'a str>,
}

impl Mapper<'_> {
    fn class(&self, class: &str) -> Option<&str> {
        self.tables.iter().find_map(|table| table.remap_class(class))
    }

    fn exception(&self, exception: &Exception) -> Exception {
        let class = match exception.module.as_str() {
            "" => exception.kind.clone(),
            module => format!("{module}.{}", exception.kind),
        };
        match self.class(&class) {
            Some(mapped) => {
                let (module, kind) = mapped.rsplit_once('.').unwrap_or(("", mapped));
                Exception { kind: kind.to_owned(), module: module.to_owned() }
            }
            None => exception.clone(),
        }
    }

    fn trace(&self, trace: &Trace, order: FrameOrder) -> Trace {
        let mut frames = Vec::with_capacity(trace.frames.len());
        let mut outline = None;
        let mut add = |frame: &JvmFrame| frames.extend(self.frame(frame, &mut outline));
        match order {
            FrameOrder::CalleeFirst => trace.frames.iter().for_each(&mut add),
            FrameOrder::CallerFirst => trace.frames.iter().rev().for_each(&mut add),
        }
        Trace { exception: trace.exception.as_ref().map(|exception| self.exception(exception)), frames }
    }

    /// What a frame stands for, innermost first. `outline` is a position within an outlined method, which says something of
    /// the frame behind it.
    fn frame(&self, frame: &JvmFrame, outline: &mut Option<usize>) -> Vec<JvmFrame> {
        for table in self.tables {
            if let Some(line) = frame.lineno.filter(|line| *line > 0) {
                if table.is_outline_frame(&frame.module, &frame.function) {
                    *outline = usize::try_from(line).ok();
                    return Vec::new();
                }
                let sent = StackFrame::new(&frame.module, &frame.function, line as usize);
                let sent = table.prepare_frame_for_mapping(&sent, outline);
                let mapped = table.remap_frame(&sent);
                if mapped.had_mappings() {
                    let kept = mapped.filter(|mapped| !mapped.method_synthesized());
                    return kept.map(|mapped| self.with_names(frame, &mapped, true)).collect();
                }
            } else if let Some(parameters) =
                frame.signature.as_deref().and_then(|signature| table.deobfuscate_signature(signature))
            {
                let parameters = parameters.parameters_types().collect::<Vec<_>>().join(",");
                let sent = StackFrame::with_parameters(&frame.module, &frame.function, &parameters);
                let mapped: Vec<_> =
                    table.remap_frame(&sent).map(|mapped| self.with_names(frame, &mapped, false)).collect();
                if !mapped.is_empty() {
                    return mapped;
                }
            }
            if let Some((class, method)) = table.remap_method(&frame.module, &frame.function) {
                return vec![self.renamed(frame, class, method)];
            }
            if let Some(class) = table.remap_class(&frame.module) {
                return vec![self.renamed(frame, class, &frame.function)];
            }
        }
        vec![frame.clone()]
    }

    fn with_names(&self, frame: &JvmFrame, mapped: &StackFrame<'_>, with_line: bool) -> JvmFrame {
        let mut named = self.renamed(frame, mapped.class(), mapped.method());
        if with_line {
            named.lineno =
                mapped.line().and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0).or(frame.lineno);
            if let Some(file) = mapped.file() {
                named.filename = Some(file.to_owned());
                named.abs_path = Some(file.to_owned());
            }
        }
        named
    }

    fn renamed(&self, frame: &JvmFrame, class: &str, method: &str) -> JvmFrame {
        let in_app = self.release_package.filter(|package| class.starts_with(package)).map(|_| true);
        JvmFrame {
            module: class.to_owned(),
            function: method.to_owned(),
            in_app: frame.in_app.or(in_app),
            ..frame.clone()
        }
    }
}

/// Where the source of a frame is in a bundle.
fn source_url(frame: &JvmFrame) -> Option<String> {
    let (package, class) = frame.module.rsplit_once('.').unwrap_or(("", &frame.module));
    let named = frame.abs_path.as_deref().filter(|path| !path.contains('$')).and_then(|path| path.rsplit_once('.'));
    let name = match named {
        Some((name, _)) => name,
        None => class.split('$').next().unwrap_or(class),
    };
    let name = name.rsplit(['/', '\\']).next().filter(|name| !name.is_empty())?;
    match package {
        "" => Some(format!("~/{name}.jvm")),
        package => Some(format!("~/{}/{name}.jvm", package.replace('.', "/"))),
    }
}
