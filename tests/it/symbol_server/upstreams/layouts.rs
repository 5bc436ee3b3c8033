//! Another symdepot as the upstream, in each of the layouts: both sides are of this house, and neither knows that.

use symdepot::types::UpstreamKind;

use super::{ask, asking, name, stocked};
use crate::support::fixtures;

const BUILD_ID: &str = super::super::BUILD_ID;
const STRIPPED: &str = super::super::STRIPPED;
const COMPANION: &str = super::super::COMPANION;
const PE: &str = "pe-x86_64-llvm19/calc.exe";
const PDB: &str = "pe-x86_64-llvm19/calc.pdb";
const MACHO: &str = "macho-x86_64-llvm19/calc";
const DSYM: &str = "macho-x86_64-llvm19/calc.dSYM/Contents/Resources/DWARF/calc";
const BREAKPAD: &str = "breakpad/calc-pe.sym";

const PE_PATH: &str = "calc.exe/D344B6704000/calc.exe";
const PDB_PATH: &str = "calc.pdb/5433B924E30A5F8D4C4C44205044422E1/calc.pdb";
const MACHO_ID: &str = "4c4c44ce55553144a1752259c838dfd4";

#[tokio::test]
async fn what_a_project_misses_comes_from_its_upstream_in_every_layout_and_stays() {
    let stock = [STRIPPED, COMPANION, PE, PDB, MACHO, DSYM, BREAKPAD];
    let (upstream, url) = stocked(&stock).await;
    let elf = |word: &str| format!("buildid/{BUILD_ID}/{word}");
    let folders = format!("{}/{}", &BUILD_ID[..2], &BUILD_ID[2..]);
    let cases: Vec<(UpstreamKind, Vec<(String, &str)>)> = vec![
        (UpstreamKind::Debuginfod, vec![(elf("executable"), STRIPPED), (elf("debuginfo"), COMPANION)]),
        (
            UpstreamKind::Ssqp,
            vec![
                (PE_PATH.to_owned(), PE),
                (PDB_PATH.to_owned(), PDB),
                (format!("calc/elf-buildid-{BUILD_ID}/calc"), STRIPPED),
                (format!("_.debug/elf-buildid-sym-{BUILD_ID}/_.debug"), COMPANION),
                (format!("calc/mach-uuid-{MACHO_ID}/calc"), MACHO),
                (format!("_.dwarf/mach-uuid-sym-{MACHO_ID}/_.dwarf"), DSYM),
            ],
        ),
        (UpstreamKind::Breakpad, vec![("calc.pdb/5433B924E30A5F8D4C4C44205044422E1/calc.sym".to_owned(), BREAKPAD)]),
        (
            UpstreamKind::Native,
            vec![
                (folders.clone(), STRIPPED),
                (format!("{folders}.debug"), COMPANION),
                (PE_PATH.to_owned(), PE),
                (PDB_PATH.to_owned(), PDB),
                ("4C4C/44CE/5555/3144/A175/2259C838DFD4.app".to_owned(), MACHO),
                ("4C4C/44CE/5555/3144/A175/2259C838DFD4".to_owned(), DSYM),
            ],
        ),
    ];
    let mut filled = Vec::new();
    for (kind, paths) in cases {
        let server = asking().start().await;
        name(&server, kind, &url).await;
        for (path, fixture) in &paths {
            let (status, bytes) = ask(&server, path).await;
            assert!(status == 200 && bytes == fixtures::read(fixture), "{kind} {path}: {status}");
        }
        let listed = server.listed(&server.account).await;
        assert_eq!(listed.len(), paths.len(), "{kind}: {listed:?}");
        filled.push((server, paths));
    }
    upstream.stop().await;
    for (server, paths) in filled {
        for (path, fixture) in paths {
            let (status, bytes) = ask(&server, &path).await;
            assert!(status == 200 && bytes == fixtures::read(fixture), "{path} is here now: {status}");
        }
        assert_eq!(server.fsck_when_idle().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_section_and_a_symcache_come_from_what_an_upstream_brought() {
    let (_upstream, url) = stocked(&[COMPANION]).await;
    let server = asking().start().await;
    name(&server, UpstreamKind::Debuginfod, &url).await;
    let (status, section) = ask(&server, &format!("buildid/{BUILD_ID}/section/.debug_line")).await;
    assert_eq!(status, 200);
    assert!(fixtures::read(COMPANION).windows(section.len()).any(|part| part == section));
    let listed = server.listed(&server.account).await;
    assert_eq!(listed[0]["objectName"], "calc.debug", "the name is that of the upstream");
    let symcache = format!("{}4ec932a9-e89a-f8cd-96b5-496a980e4efe?wait=60", server.account.symcaches_path());
    assert_eq!(server.get(&symcache).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn symbolicator_lists_what_upstreams_bring_for_a_code_id() {
    let (_upstream, url) = stocked(&[STRIPPED, COMPANION]).await;
    let server = asking().start().await;
    name(&server, UpstreamKind::Debuginfod, &url).await;
    let list = async |question: &str| -> Vec<serde_json::Value> {
        let path = format!("/api/0/projects/default/default/files/dsyms/?{question}");
        server.get(&path).send().await.unwrap().json().await.unwrap()
    };
    assert!(list("debug_id=4ec932a9-e89a-f8cd-96b5-496a980e4efe").await.is_empty(), "a build id is not known by half");
    let both = list(&format!("debug_id=4ec932a9-e89a-f8cd-96b5-496a980e4efe&code_id={BUILD_ID}")).await;
    assert_eq!(both.len(), 2, "the debug information and the executable: {both:?}");
    assert_eq!(list("debug_id=4ec932a9-e89a-f8cd-96b5-496a980e4efe").await.len(), 2);
}

#[tokio::test]
async fn a_worker_that_knows_more_than_the_debug_id_has_the_symcache_of_what_an_upstream_brings() {
    let (_upstream, url) = stocked(&[COMPANION, PDB]).await;
    let server = asking().start().await;
    name(&server, UpstreamKind::Debuginfod, &url).await;
    name(&server, UpstreamKind::Ssqp, &url).await;
    let status = async |id: &str, more: &str| {
        let path = format!("{}{id}?wait=60{more}", server.account.symcaches_path());
        server.get(&path).send().await.unwrap().status().as_u16()
    };
    let (elf, pdb) = ("4ec932a9-e89a-f8cd-96b5-496a980e4efe", "5433b924-e30a-5f8d-4c4c-44205044422e-1");
    assert_eq!((status(elf, "").await, status(pdb, "").await), (404, 404));
    assert_eq!(status(elf, &format!("&code_id={BUILD_ID}")).await, 200);
    assert_eq!(status(pdb, "&debug_file=calc.exe").await, 404);
    assert_eq!(status(pdb, "&code_id=D344B6704000&debug_file=calc.pdb").await, 200);
    assert_eq!((status(elf, "").await, status(pdb, "").await), (200, 200), "and it stays");
}

#[tokio::test]
async fn a_look_into_a_whole_organization_asks_no_upstream() {
    let (_upstream, url) = stocked(&[STRIPPED]).await;
    let server = asking().start().await;
    name(&server, UpstreamKind::Debuginfod, &url).await;
    server.add_project("another").await;
    let path = format!("/symbols/default/buildid/{BUILD_ID}/executable");
    assert_eq!(server.get(&path).send().await.unwrap().status(), 404);
    assert!(server.listed(&server.account).await.is_empty());
    let other = format!("/symbols/default/another/buildid/{BUILD_ID}/executable");
    assert_eq!(server.get(&other).send().await.unwrap().status(), 404, "the other project names no upstream");
    assert_eq!(ask(&server, &format!("buildid/{BUILD_ID}/executable")).await.0, 200);
    assert_eq!(server.get(&path).send().await.unwrap().status(), 200, "what is there is found by everybody who may");
}
