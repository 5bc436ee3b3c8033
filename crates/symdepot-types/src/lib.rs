//! The values every room speaks of: checksums, identities and the records that rows become.
//!
//! Nothing here does input or output, and nothing here knows a framework: a value that needs a handle to be
//! made belongs to the room that owns the handle.

mod address;
mod artifact;
mod checksum;
pub mod child_protocol;
mod derived;
mod event;
mod identity;
mod job;
pub mod limits;
mod mask;
mod policy;
mod records;
mod scope;
pub mod stack;
mod upstream;

pub use address::path_segment;
pub use artifact::{ArtifactKind, RequestedKinds};
pub use checksum::{Sha1, Sha1Error};
pub use derived::{DerivedFile, DerivedKey, DerivedOutcome, DerivedSort};
pub use event::{Duplicates, EventSampling, EventSettings, GroupingMode, ProjectKey, SpoolStage};
pub use identity::{CodeId, DebugId, DebugIdError, Features, Format, Kind, UnknownWord};
pub use job::{Job, JobKind, JobLease};
pub use mask::{mask_url, mask_urls_in};
pub use policy::{ExpiredFile, Policy, Quota, Retention, RetentionError, Rule, Usage};
pub use records::{
    Assembly, AssemblyState, BlobRef, Chunk, DebugFile, Encoding, Miss, MissedId, NewDebugFile, Organization, Project,
    SymbolKey, Symcache, SymcacheState, Token,
};
pub use scope::{Scope, Scopes};
pub use upstream::{Upstream, UpstreamAnswer, UpstreamKind};
