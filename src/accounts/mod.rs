//! Who may do what and have how much: organizations, projects, tokens, symbol keys, scopes and quotas.
//!
//! A token's or key's text is known to its owner alone: this room mints it, hands it out once and keeps its SHA-256. It never
//! decides how a refusal looks on a wire.

mod access;
mod authenticate;
mod dsn;
mod names;
mod quotas;
mod reach;
mod setup;
mod symbol_key;
mod token;

pub use access::{
    AccessClass, ActOnIssues, ChangeSettings, Delete, DeleteEvents, Read, ReadEvents, ReadSettings, Symbols, Upload,
    all_projects, find_organization, find_project,
};
pub use authenticate::{AuthError, Caller, authenticate};
pub use dsn::{dsn, issue_project_key};
pub use names::{NameError, check_label, check_project_slug, check_slug, split_project};
pub use quotas::{Allowance, QuotaError, Quotas, Room};
pub use reach::{Reach, ReadableProjects, Shown, reach};
pub use setup::{FirstStart, set_up};
pub use symbol_key::{KEY_START, issue_symbol_key};
pub use token::{NewSecret, TokenOrder, hash_token, issue_token, mint};
