//! Lines of source around the lines of frames, out of the source bundles of the modules. A bundle that cannot be read costs its
//! lines and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Symbolication;
use super::frames::{NamedFrame, Resolved};
use crate::types::child_protocol::{SourceLines, SourceWant};

/// Source files that one request gets lines of, of one bundle.
const MAX_FILES: usize = 2_000;

/// Bundles that one request gets lines of.
const MAX_BUNDLES: usize = 64;

/// The lines that a request gets, by module, path and line.
#[derive(Debug, Default)]
pub struct SourceContext(HashMap<(usize, Arc<str>, u32), SourceLines>);

impl SourceContext {
    /// The lines around a line, if they are known.
    pub fn lines(&self, module: usize, path: &Arc<str>, line: u32) -> Option<&SourceLines> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&(module, Arc::clone(path), line))
    }
}

impl Symbolication {
    /// The lines around every frame whose module has a source bundle.
    pub(super) async fn context(&self, resolved: &Resolved, stacks: &[Vec<NamedFrame>]) -> SourceContext {
        let mut context = SourceContext::default();
        if !resolved.request.options.apply_source_context {
            return context;
        }
        for (module, wants) in wanted(resolved, stacks).into_iter().take(MAX_BUNDLES) {
            let Some(bundle) = resolved.files.get(&module).and_then(|files| files.bundle.as_ref()) else { continue };
            let asked = wants.iter().map(|(path, lines)| SourceWant { path: path.to_string(), lines: lines.clone() });
            let found = match self.symcaches.source_lines(bundle, asked.collect()).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::info!(debug_file.id = bundle.id, %error, "no lines of a source bundle can be had");
                    continue;
                }
            };
            for lines in found {
                if let Some((path, _)) = wants.get_key_value(lines.path.as_str()) {
                    context.0.insert((module, Arc::clone(path), lines.number), lines);
                }
            }
        }
        context
    }
}

/// Which lines are wanted, by module and path.
fn wanted(resolved: &Resolved, stacks: &[Vec<NamedFrame>]) -> BTreeMap<usize, BTreeMap<Arc<str>, BTreeSet<u32>>> {
    let mut wanted: BTreeMap<usize, BTreeMap<Arc<str>, BTreeSet<u32>>> = BTreeMap::new();
    for frame in stacks.iter().flatten() {
        let Some(module) = frame.module else { continue };
        if resolved.files.get(&module).is_none_or(|files| files.bundle.is_none()) {
            continue;
        }
        for function in frame.functions.iter() {
            let (Some(path), Some(line)) = (&function.file, function.line) else { continue };
            let paths = wanted.entry(module).or_default();
            if paths.len() < MAX_FILES || paths.contains_key(path) {
                paths.entry(Arc::clone(path)).or_default().insert(line);
            }
        }
    }
    wanted
}
