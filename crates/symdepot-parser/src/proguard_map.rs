//! ProGuard mapping -> table for look-ups, in the form of the crate `proguard`. It never looks anything up.

use std::io;

use proguard::{ProguardCache, ProguardMapping};

/// Writes the table of a mapping, or says what is wrong with the mapping.
pub fn table(bytes: &[u8], output: &mut impl io::Write) -> Result<io::Result<()>, String> {
    let mapping = ProguardMapping::new(bytes);
    if !mapping.is_valid() {
        return Err("no line of it maps a class".to_owned());
    }
    Ok(ProguardCache::write(&mapping, output))
}
