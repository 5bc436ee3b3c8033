//! [`CallerCache`]: who calls and where to, remembered for one second so that a busy client does not ask the rows
//! at every request. It never remembers that something is *not* there, and never anything for longer than a second:
//! a token that was taken back stops working within that time, whichever process took it back.

use std::sync::Arc;
use std::time::Duration;

use super::{Recent, Throttle};
use crate::types::{Organization, Project, SymbolKey, Token};

/// How long a row is believed without asking again.
const MOMENT: Duration = Duration::from_secs(1);

/// Rows of each sort that are remembered at most.
const CAPACITY: u64 = 10_000;

/// SHA-256 of the whole text of a token or a symbol key.
pub type TokenHash = [u8; 32];

/// Rows that every request needs, and the turns of those whose number is limited. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CallerCache {
    tokens: Recent<TokenHash, Arc<Token>>,
    symbol_keys: Recent<TokenHash, Arc<SymbolKey>>,
    symbol_key_turns: Throttle,
    anonymous_turns: Throttle,
    organizations: Recent<String, Arc<Organization>>,
    projects: Recent<(i64, String), Arc<Project>>,
}

impl CallerCache {
    /// Nothing is remembered yet. Each symbol key has `symbol_key_rate` requests a second, and all clients of an
    /// organization without a credential have `anonymous_rate` costly ones; 0 means any number.
    pub fn new(symbol_key_rate: u32, anonymous_rate: u32) -> Self {
        Self {
            symbol_key_turns: Throttle::new(symbol_key_rate),
            anonymous_turns: Throttle::new(anonymous_rate),
            tokens: Recent::new(MOMENT, CAPACITY),
            symbol_keys: Recent::new(MOMENT, CAPACITY),
            organizations: Recent::new(MOMENT, CAPACITY),
            projects: Recent::new(MOMENT, CAPACITY),
        }
    }

    /// Waits until it is the turn of a symbol key.
    pub async fn turn_of_symbol_key(&self, id: i64) {
        self.symbol_key_turns.turn(id).await;
    }

    /// Waits until a client without a credential may cause work in an organization.
    pub async fn turn_of_anonymous(&self, organization_id: i64) {
        self.anonymous_turns.turn(organization_id).await;
    }

    /// The token with this hash, if it was met within the last second.
    pub async fn token(&self, hash: &TokenHash) -> Option<Arc<Token>> {
        self.tokens.get(hash).await
    }

    /// Remembers a token for a second.
    pub async fn keep_token(&self, hash: TokenHash, token: &Arc<Token>) {
        self.tokens.set(hash, Arc::clone(token)).await;
    }

    /// The symbol key with this hash, if it was met within the last second.
    pub async fn symbol_key(&self, hash: &TokenHash) -> Option<Arc<SymbolKey>> {
        self.symbol_keys.get(hash).await
    }

    /// Remembers a symbol key for a second.
    pub async fn keep_symbol_key(&self, hash: TokenHash, key: &Arc<SymbolKey>) {
        self.symbol_keys.set(hash, Arc::clone(key)).await;
    }

    /// The organization written so in a URL, if it was met within the last second.
    pub async fn organization(&self, slug_or_id: &str) -> Option<Arc<Organization>> {
        self.organizations.get(&slug_or_id.to_owned()).await
    }

    /// Remembers an organization for a second.
    pub async fn keep_organization(&self, slug_or_id: &str, organization: &Arc<Organization>) {
        self.organizations.set(slug_or_id.to_owned(), Arc::clone(organization)).await;
    }

    /// The project of an organization written so in a URL, if it was met within the last second.
    pub async fn project(&self, organization_id: i64, slug_or_id: &str) -> Option<Arc<Project>> {
        self.projects.get(&(organization_id, slug_or_id.to_owned())).await
    }

    /// Remembers a project for a second.
    pub async fn keep_project(&self, slug_or_id: &str, project: &Arc<Project>) {
        self.projects.set((project.organization_id, slug_or_id.to_owned()), Arc::clone(project)).await;
    }
}
