//! ELF files whose section headers and names are made to be searched for as long as possible.

use reqwest::Method;

use crate::support::server::TestServer;
use crate::support::uploads::Upload;
use crate::support::work::Work;

/// Most section headers of a 64-bit file that are searched, and most bytes of names.
const MAX_HEADERS: u64 = 16 << 10;
const MAX_NAMES: usize = 1 << 20;

/// An ELF file with code and the build id that is one byte over and over, with so many section headers. Nearly all of them
/// are named by the same place in names that never end.
fn crowded(id: u8, headers: u16, names: usize) -> Vec<u8> {
    const NOTE_AT: u64 = 64 + 56;
    let note = [b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0".as_slice(), &[id; 20]].concat();
    let headers_at = (NOTE_AT + note.len() as u64).next_multiple_of(64);
    let names_at = headers_at + u64::from(headers) * 64;
    let mut file = Vec::new();
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    put(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0");
    for number in [0, 64, headers_at] {
        put(&number.to_le_bytes());
    }
    put(&[0; 4]);
    for number in [64, 56, 1, 64, headers, 1] {
        put(&number.to_le_bytes());
    }
    put(&[4, 0, 0, 0, 4, 0, 0, 0]);
    for number in [NOTE_AT, NOTE_AT, NOTE_AT, note.len() as u64, note.len() as u64, 4] {
        put(&number.to_le_bytes());
    }
    put(&note);
    file.resize(headers_at as usize, 0);
    for number in 0..headers {
        let mut header = [0; 64];
        let (name, sort, flags, at, size) = match number {
            1 => (7, 3, 0, names_at, names as u64),
            2 => (1, 1, 6, NOTE_AT, note.len() as u64),
            _ => (7_u32, 1, 0, names_at, 0),
        };
        header[..4].copy_from_slice(&name.to_le_bytes());
        (header[4], header[8]) = (sort, flags);
        header[24..32].copy_from_slice(&at.to_le_bytes());
        header[32..40].copy_from_slice(&size.to_le_bytes());
        file.extend_from_slice(&header);
    }
    let end = file.len() + names;
    file.extend_from_slice(b"\0.text\0");
    file.resize(end, b'x');
    file
}

fn path(id: u8, section: &str) -> String {
    format!("/symbols/default/default/buildid/{}/section/{section}", format!("{id:02x}").repeat(20))
}

/// Requests a section, with honest requests beside it; returns the status.
async fn status_beside_others(server: &TestServer, path: &str) -> u16 {
    let search = async { server.get(path).send().await.unwrap().status().as_u16() };
    let live = async {
        for _ in 0..4 {
            assert_eq!(server.request(Method::GET, "/health/live").send().await.unwrap().status(), 200);
        }
    };
    tokio::join!(search, live).0
}

#[tokio::test]
async fn a_file_with_as_many_headers_and_names_as_a_header_can_say_costs_no_comparison() {
    let work = Work::listen();
    let server = TestServer::start().await;
    server.upload_ok(&Upload::new("crowded.so", crowded(0xab, u16::MAX, 4 << 20))).await;
    for section in [".nope", ".debug_nope", ".text", "x"] {
        assert_eq!(status_beside_others(&server, &path(0xab, section)).await, 404, "{section}");
        let compared = work.take("section.bytes_compared");
        assert!(!compared.is_empty() && compared.iter().all(|bytes| *bytes == 0), "{section}: {compared:?}");
    }
}

#[tokio::test]
async fn a_file_at_the_bounds_costs_one_comparison_of_the_name_for_each_header() {
    let work = Work::listen();
    let server = TestServer::start().await;
    server.upload_ok(&Upload::new("crowded.so", crowded(0xac, MAX_HEADERS as u16, MAX_NAMES))).await;
    let longest = "x".repeat(1024);
    for (section, names) in [(".nope", 1), (".debug_nope", 2), (longest.as_str(), 1)] {
        assert_eq!(status_beside_others(&server, &path(0xac, section)).await, 404, "{section}");
        let compared = work.take("section.bytes_compared");
        let most = MAX_HEADERS * names * (section.len() as u64 + 2);
        assert!(!compared.is_empty() && compared.iter().all(|bytes| (1..=most).contains(bytes)), "{compared:?} {most}");
    }
    let too_long = "x".repeat(1025);
    assert_eq!(status_beside_others(&server, &path(0xac, &too_long)).await, 404);
    assert_eq!(work.take("section.bytes_compared").iter().sum::<u64>(), 0);
}
