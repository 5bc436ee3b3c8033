//! Archives: the files of a zip, the one file of a cabinet. Nothing is ever written under a name that an archive holds.

mod cabinet;
mod zip;

pub use cabinet::uncab;
pub use zip::unzip;
