//! Who may do what: organizations, projects, tokens and scopes.
//!
//! A token's text is known to its owner alone: this room mints it, hands it out once and keeps its SHA-256. It never
//! decides how a refusal looks on a wire.

mod access;
mod authenticate;
mod names;
mod setup;
mod token;

pub use access::{AccessClass, Delete, Read, Symbols, Upload, all_projects, find_organization, find_project};
pub use authenticate::{AuthError, Caller, authenticate};
pub use names::{NameError, check_slug, split_project};
pub use setup::{FirstStart, set_up};
pub use token::{NewSecret, TokenOrder, hash_token, issue_token, mint};
