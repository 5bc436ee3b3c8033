//! The answers of our symcache and of the one that bare `symbolic` makes of the same file.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use symbolic::debuginfo::Object;
use symbolic::symcache::{SymCache, SymCacheConverter};
use symdepot::symcaches::sandbox::{Conversion, Detection, Hints, MappingFiles, Sandbox, SandboxSettings};

use crate::answers::{Answer, Frame};
use crate::elf::Layout;

/// The answers of the symcache that symdepot makes.
pub fn ours(path: &Path, layout: &Layout, addresses: &[u64]) -> Result<Vec<Answer>, String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let bytes = runtime.block_on(convert(path))?;
    let cache = SymCache::parse(&bytes).map_err(|error| error.to_string())?;
    Ok(answers(&cache, layout, addresses))
}

/// The answers of the symcache that `symbolic` makes by itself.
pub fn bare(bytes: &[u8], layout: &Layout, addresses: &[u64]) -> Result<Vec<Answer>, String> {
    let object = Object::parse(bytes).map_err(|error| error.to_string())?;
    let mut converter = SymCacheConverter::new();
    if converter.process_object(&object).is_err() {
        return Ok(vec![Answer::new(); addresses.len()]);
    }
    let mut written = Vec::new();
    converter.serialize(&mut written).map_err(|error| error.to_string())?;
    let cache = SymCache::parse(&written).map_err(|error| error.to_string())?;
    // It counts from the first loaded segment of the table, which is not always ours.
    let base = object.load_address();
    let layout = Layout { base, ..layout.clone() };
    Ok(answers(&cache, &layout, addresses))
}

fn answers(cache: &SymCache<'_>, layout: &Layout, addresses: &[u64]) -> Vec<Answer> {
    let frame = |location: symbolic::symcache::SourceLocation<'_, '_>| Frame {
        name: location.function().name().to_owned(),
        file: location.file().map(|file| file.full_path()).unwrap_or_default(),
        line: location.line(),
    };
    let answer = |address: &u64| match address.checked_sub(layout.base) {
        Some(offset) => cache.lookup(offset).map(frame).collect(),
        None => Answer::new(),
    };
    addresses.iter().map(answer).collect()
}

async fn convert(path: &Path) -> Result<Vec<u8>, String> {
    let sandbox = Sandbox::new(SandboxSettings {
        threads: 2,
        program: PathBuf::from(env!("CARGO_BIN_EXE_symdepot")),
        temp_dir: std::env::temp_dir(),
        memory: 8 << 30,
        timeout: Duration::from_secs(600),
        concurrency: 1,
        short_concurrency: 1,
        test_fault: String::new(),
    });
    let file = File::open(path).map_err(|error| error.to_string())?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let detection = sandbox.detect(&file, &Hints { name, debug_id: None }).await.map_err(|error| error.to_string())?;
    let objects = match detection {
        Detection::Objects(objects) => objects,
        Detection::Rejected(reason) | Detection::SomethingElse(reason) => return Err(reason),
    };
    let object = objects.first().ok_or("holds no object")?;
    let made = sandbox.convert(&file, &object.debug_id, &MappingFiles::default()).await;
    match made.map_err(|error| error.to_string())? {
        Conversion::Malformed(reason) => Err(reason),
        Conversion::Made { mut file, .. } => {
            let mut bytes = Vec::new();
            file.rewind().map_err(|error| error.to_string())?;
            file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            Ok(bytes)
        }
    }
}
