//! How records stand in a segment: a marker, a checksum, lengths, the bytes. It reads and writes no file.
//!
//! A frame is found again behind damaged bytes by its marker.

/// What each frame begins with.
pub const MARKER: [u8; 8] = *b"\xf5sdrec1\n";

/// Bytes of a frame before its record: marker, checksum (CRC-32C), length, organization.
pub const HEAD: usize = 8 + 4 + 4 + 8;

/// Largest record. An event has at most some MiB, and its files are stored elsewhere.
pub const LARGEST: u32 = 256 << 20;

/// A frame within bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Of which organization the record is.
    pub organization_id: i64,
    /// Bytes of the record, which follow the head.
    pub length: u32,
    checksum: u32,
}

/// What stands at a place of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// A frame, whose record is to be checked.
    Frame(Frame),
    /// The bytes end before the head does.
    Short,
    /// No frame.
    Other,
}

/// What the checksums of a segment begin with. Nobody outside knows the name of a segment, so no record holds bytes that are
/// taken for a frame where the real one is damaged.
pub fn seed(segment: &str) -> u32 {
    crc32c::crc32c(segment.as_bytes())
}

/// Appends a record with its frame.
pub fn write(record: &[u8], organization_id: i64, seed: u32, to: &mut Vec<u8>) {
    let length = u32::try_from(record.len()).expect("a record is checked against the largest before");
    to.extend_from_slice(&MARKER);
    to.extend_from_slice(&checksum(length, organization_id, record, seed).to_le_bytes());
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(&organization_id.to_le_bytes());
    to.extend_from_slice(record);
}

/// What the bytes begin with.
pub fn head(bytes: &[u8]) -> Head {
    let Some(head) = bytes.get(..HEAD) else {
        return if MARKER.starts_with(&bytes[..bytes.len().min(8)]) { Head::Short } else { Head::Other };
    };
    if head[..8] != MARKER {
        return Head::Other;
    }
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (checksum, length) = (number(8), number(12));
    if length > LARGEST {
        return Head::Other;
    }
    let organization_id = i64::from(number(16)) | i64::from(number(20)) << 32;
    Head::Frame(Frame { organization_id, length, checksum })
}

impl Frame {
    /// Whether these are the bytes that were written.
    pub fn holds(&self, record: &[u8], seed: u32) -> bool {
        checksum(self.length, self.organization_id, record, seed) == self.checksum
    }

    /// Bytes of the frame and its record.
    pub fn size(&self) -> u64 {
        HEAD as u64 + u64::from(self.length)
    }
}

fn checksum(length: u32, organization_id: i64, record: &[u8], seed: u32) -> u32 {
    let checksum = crc32c::crc32c_append(seed, &length.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(checksum, &organization_id.to_le_bytes()), record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_back_and_a_changed_byte_is_found() {
        let mut bytes = Vec::new();
        write(b"hello", -7, 9, &mut bytes);
        let Head::Frame(frame) = head(&bytes) else { panic!("no frame") };
        assert_eq!((frame.organization_id, frame.length, frame.size()), (-7, 5, bytes.len() as u64));
        assert!(frame.holds(b"hello", 9) && !frame.holds(b"hellp", 9) && !frame.holds(b"hello", 8));
        for cut in 0..HEAD {
            assert_eq!(head(&bytes[..cut]), Head::Short, "{cut}");
        }
        bytes[3] ^= 1;
        assert_eq!(head(&bytes), Head::Other);
    }
}
