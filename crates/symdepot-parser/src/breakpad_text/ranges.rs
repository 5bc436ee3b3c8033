//! Where the ranges of a symcache begin, which its reader does not say. It never looks at what they hold.

/// The version and the header in front of everything.
const HEADER: usize = 80;

/// The beginnings of the ranges of a symcache in order; each ends where the next begins.
#[derive(Debug)]
pub(super) struct Ranges<'s>(&'s [u8]);

impl<'s> Ranges<'s> {
    /// Finds them in a symcache of the format that is written here.
    pub(super) fn read(symcache: &'s [u8]) -> Option<Self> {
        let count = |at: usize| Some(u32::from_le_bytes(symcache.get(at..at + 4)?.try_into().ok()?) as usize);
        // After the debug id and the architecture: files, functions, places, ranges.
        let (files, functions, places, ranges) = (count(44)?, count(48)?, count(52)?, count(56)?);
        let aligned = |at: usize| at.next_multiple_of(8);
        let behind_files = aligned(HEADER + files * 24);
        let behind_functions = aligned(behind_files + functions * 16);
        let begin = aligned(behind_functions + places * 16);
        symcache.get(begin..begin + ranges * 4).map(Self)
    }

    /// The beginnings.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    }
}
