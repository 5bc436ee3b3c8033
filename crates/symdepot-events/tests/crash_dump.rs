//! Dumps out of every packing, within a limit. They are no real minidumps: only their first bytes count.

use std::io::{self, Read, Write as _};

use base64::Engine as _;
use symdepot_events::crash::dump::{kind, unpack};
use symdepot_events::crash::{DumpFault, DumpKind};

/// `MDMP small dump`, packed by the tools.
const XZ: &str = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAOTURNUCBzbWFsbCBkdW1wAAAvoU3ynXBnLAABJw/fGvxqH7bzfQEAAAAABFla";
const BZIP2: &str = "QlpoOTFBWSZTWRAjUNYAAAGXgEAABAJAACQGSgAgADEA000EAyaBu0JRObwHeLuSKcKEgIEahrA=";
/// `MDMP first and second`, packed in two streams.
const XZ_TWICE: &str = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAKTURNUCBmaXJzdCAAAKu4o/zM5Z0tAAEjC8Ib/QkftvN9AQAAAAAEWVr9N3pYWgAABObWtEYCACEBFgAAAHQv5aMBAAlhbmQgc2Vjb25kAAAAEcts1tJk9zEAASIKFRrhZx+2830BAAAAAARZWg==";
const BZIP2_TWICE: &str = "QlpoOTFBWSZTWaBIdRIAAAGXgEAABAJAAAEgHAAgACINPUNCDJiGFiWbz8XckU4UJCgSHUSAQlpoMTFBWSZTWVYoP7sAAACRgEAALgGIACAAMQwIGgyepqcRAPF3JFOFCQVig/uw";
/// `MDMP` and two million zeros.
const XZ_BOMB: &str = "/Td6WFoAAATm1rRGAgAhAQwAAACPmEGc//8VAXBdACaRBd2iJrfSIEV5x2QKMZJGJ5iFbJazBAOkC+vfc52o/oSEObvixlXgrgkVPhBahukJTZtv6jYkbtxUbLZY6T6cFj1Z0n+NjxA22c6Q5qvDhc+WsyLZ6x0SnUdvP+tO51LikgZWGZ5EnuLS5Eb2VPCIdSww28JQVJEilwYDX8lwOxTAMjeYpRUBpeijCSrsqv9aJqxyDBaSp745jyThcJ6nI1/sKMuF0ZWYin4qkfIndfcZwAaYTZj92K/VkA/EJVP49ZE2MQWlsO5vwXBNRwzRkRGqrWAdus6xJxhcWYbpZlJYvul2rFnk5VsFCPnH2q38+1IrdM0eWyBC+d1TPfgpZAk7gMsqbN+1O/DEvS5fqg8+S2ZCkBMO/xCT+HF4WfgLzf+VKEYPqfx83vuaMC5WwI+F84OBwGXEJVP49ZE2MQWlsO5vwXBNRwzRkRGqrWAdus6xJxhcWYbpZlJYvul2rFnk5VsFCPnH2q3rcR/XgADtAAUAHKYk8QAAALwx2oW1x3pwAAGXA4SAgAHHGhxLscRn+wIAAAAABFla";
const BZIP2_BOMB: &str = "QlpoOTFBWSZTWZJz49EAQENmAMAAAAQEAkAAAAggADDAAqU02lBAFwhIBLtz4IA4XckU4UJCSc+PRA==";

fn decoded(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).expect("memory is writable");
    encoder.finish().expect("memory is writable")
}

fn zstd_of(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 3).expect("memory is readable")
}

fn taken(input: &[u8], max: u64) -> Result<Vec<u8>, DumpFault> {
    let mut output = Vec::new();
    let length = unpack(input, &mut output, max)?;
    assert_eq!(length, output.len() as u64);
    Ok(output)
}

fn multipart(file: &[u8]) -> Vec<u8> {
    let mut body = b"--frontier-1\r\nContent-Disposition: form-data; name=\"prod\"\r\n\r\nElectron\r\n--frontier-1\r\n\
        content-disposition: form-data; name=\"upload_file_minidump\"; FileName=\"a.dmp\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        .to_vec();
    body.extend(file);
    body.extend(b"\r\n--frontier-1--\r\n");
    body
}

/// Gives one byte at a time.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = out.len().min(1);
        self.0.read(&mut out[..length])
    }
}

/// Fails after its bytes.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            read => Ok(read),
        }
    }
}

#[test]
fn kinds_are_known_by_their_first_bytes() {
    let cases: [(&[u8], DumpKind); 10] = [
        (b"MDMP", DumpKind::Minidump),
        (b"PMDM\0", DumpKind::Minidump),
        (b"--X\r\n", DumpKind::Multipart),
        (&gzip(b""), DumpKind::Gzip),
        (&zstd_of(b""), DumpKind::Zstd),
        (&decoded(XZ), DumpKind::Xz),
        (&decoded(BZIP2), DumpKind::Bzip2),
        (b"BZh0", DumpKind::Other),
        (b"\x7fELF", DumpKind::Other),
        (b"", DumpKind::Other),
    ];
    for (first, expected) in cases {
        assert_eq!(kind(first), expected, "{first:?}");
    }
}

#[test]
fn dump_comes_out_of_every_packing() {
    let dump = b"MDMP small dump".as_slice();
    for packed in [dump.to_vec(), gzip(dump), zstd_of(dump), decoded(XZ), decoded(BZIP2)] {
        assert_eq!(taken(&packed, 15).unwrap(), dump);
        assert!(matches!(taken(&packed, 14), Err(DumpFault::TooLarge)));
        let mut output = Vec::new();
        assert_eq!(unpack(Trickle(&packed), &mut output, 15).unwrap(), 15);
        assert_eq!(output, dump);
    }
    assert_eq!(taken(b"PMDM", 100).unwrap(), b"PMDM");
}

#[test]
fn streams_that_follow_each_other_are_one_dump() {
    let (first, second) = (b"MDMP first ".as_slice(), b"and second".as_slice());
    let gzips = [gzip(first), gzip(second)].concat();
    let zstds = [zstd_of(first), zstd_of(second)].concat();
    for packed in [gzips, zstds, decoded(XZ_TWICE), decoded(BZIP2_TWICE)] {
        assert_eq!(taken(&packed, 100).unwrap(), b"MDMP first and second");
    }
}

#[test]
fn bombs_end_at_the_limit() {
    let mut content = b"MDMP".to_vec();
    content.resize(4 << 20, 0);
    for packed in [gzip(&content), zstd_of(&content), decoded(XZ_BOMB), decoded(BZIP2_BOMB)] {
        assert!(packed.len() < 10_000);
        let mut output = Vec::new();
        assert!(matches!(unpack(&*packed, &mut output, 1 << 20), Err(DumpFault::TooLarge)));
        assert!(output.len() <= 1 << 20);
    }
    assert_eq!(taken(&decoded(XZ_BOMB), 4 << 20).unwrap().len(), (2 << 20) + 4);
    assert_eq!(taken(&decoded(BZIP2_BOMB), 4 << 20).unwrap().len(), (2 << 20) + 4);
}

#[test]
fn other_content_is_no_dump_and_nothing_is_written() {
    let twice = gzip(&gzip(b"MDMP"));
    for input in [b"".as_slice(), b"MDM", b"\x7fELF and more", &gzip(b"MDM"), &gzip(b""), &zstd_of(b"text"), &twice] {
        let mut output = Vec::new();
        assert!(matches!(unpack(input, &mut output, 100), Err(DumpFault::NoDump)), "{input:?}");
        assert!(output.is_empty());
    }
}

#[test]
fn cut_or_changed_data_is_broken_and_never_panics() {
    let dump = b"MDMP small dump".as_slice();
    for packed in [gzip(dump), zstd_of(dump), decoded(XZ), decoded(BZIP2), decoded(BZIP2_TWICE), decoded(XZ_TWICE)] {
        assert!(matches!(taken(&packed[..packed.len() - 1], 100), Err(DumpFault::Broken(_))));
        for length in 0..packed.len() {
            let _ = taken(&packed[..length], 100);
        }
        for at in 0..packed.len() {
            for bit in 0..8 {
                let mut changed = packed.clone();
                changed[at] ^= 1 << bit;
                let _ = taken(&changed, 1 << 16);
            }
        }
    }
}

#[test]
fn failing_input_is_an_io_error_in_every_packing() {
    let dump = b"MDMP small dump".as_slice();
    for packed in [dump.to_vec(), gzip(dump), zstd_of(dump), decoded(XZ), decoded(BZIP2), multipart(dump)] {
        let half = &packed[..packed.len() / 2];
        let fault = unpack(Failing(half), &mut Vec::new(), 100).unwrap_err();
        assert!(matches!(fault, DumpFault::Io(error) if error.kind() == io::ErrorKind::ConnectionReset));
    }
}

#[test]
fn first_file_of_a_multipart_body_is_the_dump() {
    let mut dump = b"MDMP\r\n--frontier-\r\r\n--front".to_vec();
    dump.extend((0..300_000u32).map(|number| (number % 251) as u8));
    dump.extend(b"\r\n--frontier-");
    let body = multipart(&dump);
    assert!(taken(&body, 1 << 20).unwrap() == dump);
    assert!(taken(&gzip(&body), 1 << 20).unwrap() == dump);
    assert!(taken(&multipart(&gzip(&dump)), 1 << 20).unwrap() == dump);
    assert!(matches!(taken(&body, 300_000), Err(DumpFault::TooLarge)));
    let mut output = Vec::new();
    unpack(Trickle(&body), &mut output, 1 << 20).unwrap();
    assert!(output == dump);
    // As a program that was killed while it wrote leaves it.
    assert!(taken(&body[..body.len() - "\r\n--frontier-1--\r\n".len()], 1 << 20).unwrap() == dump);
    let feeds = String::from_utf8_lossy(&multipart(b"MDMP")).replace("\r\n", "\n");
    assert_eq!(taken(feeds.as_bytes(), 100).unwrap(), b"MDMP");
}

#[test]
fn multipart_without_a_dump_is_none() {
    let no_file = b"--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nMDMP\r\n--X--\r\n";
    let endless_line = vec![b'-'; 3 << 20];
    let endless_headers = [b"--X\r\n".to_vec(), vec![b'a'; 3 << 20]].concat();
    let many_parts = [b"--X\r\n".to_vec(), b"a:b\r\n\r\nc\r\n--X\r\n".repeat(200_000)].concat();
    let nested = multipart(&multipart(b"MDMP"));
    let mut russian_doll = b"MDMP".to_vec();
    for _ in 0..200 {
        russian_doll = multipart(&russian_doll);
    }
    for body in [
        no_file.as_slice(),
        b"--",
        b"--\r\n",
        b"--X",
        b"--X\r\n",
        &endless_line,
        &endless_headers,
        &many_parts,
        &nested,
        &russian_doll,
    ] {
        assert!(matches!(taken(body, 100), Err(DumpFault::NoDump)));
    }
}
