//! The one file of a cabinet, as symbol stores of Windows pack their files, within bounds. Runs in the child process.
//!
//! The name in the cabinet means nothing: nothing is ever written under it.

use std::io::{self, Cursor, Read as _, Write};

use sha1::Digest as _;

use symdepot_types::Sha1;

/// Writes the content of the only file of `cabinet` to `out`, `max_size` bytes at most; returns its size and checksum.
/// The error is a sentence.
pub fn uncab(cabinet: &[u8], mut out: impl Write, max_size: u64) -> Result<(u64, Sha1), String> {
    let damaged = |error: io::Error| format!("The cabinet is damaged: {error}.");
    let mut cabinet = cab::Cabinet::new(Cursor::new(cabinet)).map_err(damaged)?;
    let mut names =
        cabinet.folder_entries().flat_map(|folder| folder.file_entries()).map(|file| file.name().to_owned());
    let (Some(name), None) = (names.next(), names.next()) else {
        return Err("The cabinet does not hold exactly one file.".to_owned());
    };
    drop(names);
    let mut content = cabinet.read_file(&name).map_err(damaged)?.take(max_size.saturating_add(1));
    let (mut size, mut hash, mut buffer) = (0, sha1::Sha1::new(), vec![0; 256 << 10]);
    loop {
        let read = content.read(&mut buffer).map_err(damaged)?;
        size += read as u64;
        if size > max_size {
            return Err(format!("The file in the cabinet is larger than {max_size} bytes."));
        }
        if read == 0 {
            return Ok((size, Sha1::from_bytes(hash.finalize().into())));
        }
        hash.update(&buffer[..read]);
        out.write_all(&buffer[..read])
            .map_err(|error| format!("The file in the cabinet cannot be written: {error}."))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cabinet(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = cab::CabinetBuilder::new();
        let folder = builder.add_folder(cab::CompressionType::MsZip);
        for (name, _) in files {
            folder.add_file(*name);
        }
        let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
        for (_, content) in files {
            writer.next_file().unwrap().unwrap().write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn the_only_file_comes_out_within_bounds() {
        let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let packed = cabinet(&[("calc.pdb", &content)]);
        let mut out = Vec::new();
        let size = content.len() as u64;
        assert_eq!(uncab(&packed, &mut out, size), Ok((size, Sha1::of(&content))));
        assert!(out == content);
        let out = Vec::new();
        assert!(uncab(&packed, out, size - 1).is_err_and(|said| said.contains("larger")));
        for wrong in [&packed[..packed.len() / 2], &packed[..20], b"MSCF", b""] {
            assert!(uncab(wrong, io::sink(), size).is_err_and(|said| said.contains("damaged")));
        }
        let two = cabinet(&[("a", b"1"), ("b", b"2")]);
        assert!(uncab(&two, io::sink(), size).is_err_and(|said| said.contains("exactly one")));
    }
}
