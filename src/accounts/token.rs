//! A token's text: how it is minted, how it is recognised. The text itself is never stored.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use chrono::{DateTime, Utc};
use rand::TryRngCore as _;
use sha2::{Digest as _, Sha256};

use crate::cache::TokenHash;
use crate::clock::Clock;
use crate::db::{Db, DbError, NewToken};
use crate::types::{Organization, Scopes};

/// A token as its owner wants it.
#[derive(Clone, Debug)]
pub struct TokenOrder {
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The projects it is limited to; empty means all of the organization.
    pub project_ids: Vec<i64>,
    /// When it stops working, if ever.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A token that was just made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSecret {
    /// Its row id.
    pub id: i64,
    /// Its text, which nobody can ask for again.
    pub text: String,
}

/// Mints a token for `organization` and stores its hash. `public_url` is the address that the token leads clients to; if it
/// is empty they go by their own settings.
pub async fn issue_token(
    db: &Db,
    clock: &Clock,
    public_url: &str,
    organization: &Organization,
    order: TokenOrder,
) -> Result<NewSecret, DbError> {
    let now = clock.now();
    let text = mint(public_url, &organization.slug, now);
    let row = NewToken {
        organization_id: organization.id,
        name: order.name,
        scopes: order.scopes,
        project_ids: order.project_ids,
        secret_sha256: hash_token(&text).to_vec(),
        expires_at: order.expires_at,
    };
    let id = db.insert_token(&row, now).await?;
    Ok(NewSecret { id, text })
}

/// A fresh token text, from which clients read organization and address by themselves.
pub fn mint(public_url: &str, organization_slug: &str, now: DateTime<Utc>) -> String {
    let url = public_url.trim_end_matches('/');
    let iat = now.timestamp_micros() as f64 / 1e6;
    // Clients do not read a token without `url`, or old ones without `region_url`. An empty one does not overrule what a
    // client was told, while any other does.
    let payload = serde_json::json!({ "iat": iat, "url": url, "region_url": url, "org": organization_slug });
    let mut secret = [0; 32];
    rand::rngs::OsRng.try_fill_bytes(&mut secret).expect("the system has a source of random bytes");
    format!("sntrys_{}_{}", STANDARD.encode(payload.to_string()), STANDARD_NO_PAD.encode(secret))
}

/// What is stored of a token.
pub fn hash_token(text: &str) -> TokenHash {
    Sha256::digest(text.as_bytes()).into()
}

impl std::fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSecret").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_three_parts_that_every_client_can_read() {
        let text = mint("http://depot.example:8000/", "acme", DateTime::UNIX_EPOCH);
        let parts: Vec<_> = text.split('_').collect();
        let [prefix, payload, secret] = parts[..] else { panic!("{text}") };
        assert_eq!(prefix, "sntrys");
        let payload: serde_json::Value = serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap();
        let url = "http://depot.example:8000";
        assert_eq!(payload, serde_json::json!({ "iat": 0.0, "url": url, "region_url": url, "org": "acme" }));
        assert_eq!(secret.len(), 43);
        assert_eq!(STANDARD_NO_PAD.decode(secret).unwrap().len(), 32);
        assert_ne!(text, mint("http://depot.example:8000/", "acme", DateTime::UNIX_EPOCH));
    }
}
