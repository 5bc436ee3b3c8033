//! Two libraries that tools are built on: `symsrv`, which follows a Windows symbol path, and `wholesym`, which samply
//! asks. Both are let loose on a running server as they are.

use std::path::Path;

use symsrv::SymsrvDownloader;
use tempfile::TempDir;
use wholesym::{CodeId, FrameDebugInfo, LibraryInfo, LookupAddress, SymbolManager, SymbolManagerConfig};

use super::key;
use crate::support::fixtures;
use crate::support::server::TestServer;
use crate::support::uploads::Upload;

const PE: &str = "pe-x86_64-llvm19/calc.exe";
const PDB: &str = "pe-x86_64-llvm19/calc.pdb";
const DOTNET: &str = "ppdb-mono/calc.exe";
const PORTABLE_PDB: &str = "ppdb-mono/calc.pdb";
const ELF_DEBUG: &str = "elf-x86_64-gcc-dwarf4/calc.debug";
const ELF_SYM: &str = "breakpad/calc-elf.sym";

/// The base of the default project with a key of it.
async fn base(server: &TestServer) -> String {
    format!("{}/symbols/default/default/key/{}", server.url, key(server, &server.account).await)
}

async fn server_with(fixtures: &[&str]) -> TestServer {
    filled(TestServer::start().await, fixtures).await
}

async fn filled(server: TestServer, fixtures: &[&str]) -> TestServer {
    for fixture in fixtures {
        server.upload_ok(&Upload::fixture(fixture)).await;
    }
    server
}

/// What `symsrv` brings of files by name and id; each must be the fixture beside it.
async fn brought_by_symsrv(base: &str) {
    let cache = TempDir::new().unwrap();
    let path = format!("srv*{}*{base}", cache.path().display());
    let downloader = SymsrvDownloader::new(symsrv::parse_nt_symbol_path(&path));
    for (name, id, fixture) in [
        ("calc.pdb", "5433B924E30A5F8D4C4C44205044422E1", PDB),
        ("calc.exe", "D344B6704000", PE),
        ("calc.exe", "000000008000", DOTNET),
        ("calc.pdb", "0F1E2D3C4B5A69788796A5B4C3D2E1F0ffffffff", PORTABLE_PDB),
    ] {
        let found = downloader.get_file(name, id).await.unwrap_or_else(|error| panic!("{fixture}: {error}"));
        assert!(std::fs::read(found).unwrap() == fixtures::read(fixture), "{fixture}");
    }
    for (name, id) in [("calc.pdb", "5433B924E30A5F8D4C4C44205044422E2"), ("other.exe", "D344B6704001")] {
        assert!(downloader.get_file(name, id).await.is_err(), "{name} {id}");
    }
}

#[tokio::test]
async fn symsrv_brings_programs_and_their_databases_with_and_without_cabinets() {
    let server = server_with(&[PE, PDB, DOTNET, PORTABLE_PDB]).await;
    brought_by_symsrv(&base(&server).await).await;

    let server = TestServer::builder().settings(|config| config.symbols.cab = true).start().await;
    let server = filled(server, &[PE, PDB, DOTNET, PORTABLE_PDB]).await;
    brought_by_symsrv(&base(&server).await).await;
}

/// Somebody with a profile of programs that are elsewhere.
fn manager(configure: impl FnOnce(SymbolManagerConfig, &Path) -> SymbolManagerConfig) -> (SymbolManager, TempDir) {
    let cache = TempDir::new().unwrap();
    let config = configure(SymbolManagerConfig::new(), cache.path());
    (SymbolManager::with_config(config), cache)
}

/// The frames at an address of a library, innermost first, as `function @ file:line`; nothing without its symbols.
async fn frames(manager: &SymbolManager, name: &str, debug_id: &str, address: u32) -> Vec<String> {
    let debug_id = debug_id.parse().unwrap();
    let Ok(symbols) = manager.load_symbol_map(name, debug_id).await else { return Vec::new() };
    let found = symbols.lookup(LookupAddress::Relative(address)).await;
    found.and_then(|found| found.frames).unwrap_or_default().iter().map(line).collect()
}

fn line(frame: &FrameDebugInfo) -> String {
    let file = frame.file_path.as_ref().map(|file| file.display_path()).unwrap_or_default();
    format!("{} @ {file}:{}", frame.function.as_deref().unwrap_or("?"), frame.line_number.unwrap_or_default())
}

#[tokio::test]
async fn wholesym_looks_up_addresses_by_every_path_it_knows() {
    const ELF_ID: &str = "4ec932a9-e89a-f8cd-96b5-496a980e4efe";
    const PE_ID: &str = "5433b924-e30a-5f8d-4c4c-44205044422e-1";
    let server = server_with(&[ELF_DEBUG, ELF_SYM, PDB]).await;
    let base = base(&server).await;

    let calc = |directory: &str| {
        [("square", 6), ("sum_of_squares", 10), ("calc_run", 21)]
            .map(|(function, line)| format!("{function} @ {directory}calc.c:{line}"))
    };
    let (breakpad, _cache) = manager(|config, cache| config.breakpad_symbols_server(&base, cache));
    assert_eq!(frames(&breakpad, "calc", ELF_ID, 0x1158).await, calc("/src/fixture/"));

    let (mut debuginfod, _cache) =
        manager(|config, cache| config.use_debuginfod(true).extra_debuginfod_server(&base, cache));
    debuginfod.add_known_library(LibraryInfo {
        debug_name: Some("calc".to_owned()),
        debug_id: Some(ELF_ID.parse().unwrap()),
        name: Some("calc".to_owned()),
        code_id: Some("a932c94e9ae8cdf896b5496a980e4efee5dad2fc".parse::<CodeId>().unwrap()),
        ..LibraryInfo::default()
    });
    assert_eq!(frames(&debuginfod, "calc", ELF_ID, 0x1158).await, calc("/src/fixture/"));

    let (windows, _cache) = manager(|config, cache| config.windows_symbols_server(&base, cache));
    let found = frames(&windows, "calc.pdb", PE_ID, 0x1040).await;
    let plain: Vec<_> = found.iter().map(|frame| frame.replace("(int, int)", "").replace("(int)", "")).collect();
    assert_eq!(plain, calc("C:\\src\\fixture\\"));

    for (manager, name, id) in [(breakpad, "calc", PE_ID), (debuginfod, "calc", PE_ID), (windows, "calc.pdb", ELF_ID)] {
        assert_eq!(frames(&manager, name, id, 0x1158).await, [""; 0], "another id");
    }
}
