//! Symbol keys: what a debugger can carry in the path of a URL. A key opens one project, for reading alone, and never
//! anything but the symbol-server paths.
//!
//! Some debuggers change the case of paths (`cdb` on Windows writes them in lower case), so keys have digits and lower-case
//! letters only and are accepted in any case. Keys of older versions have both cases and are accepted as they are.

use std::borrow::Cow;
use std::sync::Arc;

use rand::TryRngCore as _;
use subtle::ConstantTimeEq as _;

use super::token::{NewSecret, hash_token};
use crate::cache::CallerCache;
use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::types::SymbolKey;

/// What every key begins with, so that it can be told from anything else and kept out of logs.
pub const KEY_START: &str = "sdkey_";

/// Bytes of the secret, each written as two digits.
const SECRET: usize = 32;

/// Digits of the secret that are stored and listed, so that people can tell keys apart.
const SHOWN: usize = 6;

/// Mints a key of a project and stores its hash.
pub async fn issue_symbol_key(db: &Db, clock: &Clock, project_id: i64, name: &str) -> Result<NewSecret, DbError> {
    let text = mint();
    let prefix = &text[..KEY_START.len() + SHOWN];
    let id = db.insert_symbol_key(project_id, name, Some(prefix), &hash_token(&text), clock.now()).await?;
    Ok(NewSecret { id, text })
}

/// A fresh key text, of characters that have one case and need no escape in a path.
fn mint() -> String {
    let mut secret = [0; SECRET];
    rand::rngs::OsRng.try_fill_bytes(&mut secret).expect("the system has a source of random bytes");
    format!("{KEY_START}{}", hex::encode(secret))
}

/// The key as it was minted, whatever the client made of its case. Keys of older versions have another length.
fn as_minted(text: &str) -> Cow<'_, str> {
    let of_one_case = text.len() == KEY_START.len() + 2 * SECRET && text.is_ascii();
    if of_one_case { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) }
}

/// The project that the key `text` opens, if it is a key that was not taken back, when it is the key's turn.
pub(super) async fn project_of_key(
    db: &Db,
    cache: &CallerCache,
    clock: &Clock,
    text: &str,
) -> Result<Option<i64>, DbError> {
    let hash = hash_token(&as_minted(text));
    let key = match cache.symbol_key(&hash).await {
        Some(key) => key,
        None => {
            let Some(key) = db.symbol_key_by_hash(&hash).await? else { return Ok(None) };
            let key = Arc::new(key);
            note_use(db, clock, &key).await;
            cache.keep_symbol_key(hash, &key).await;
            key
        }
    };
    if !bool::from(key.secret_sha256.ct_eq(&hash)) || key.revoked_at.is_some() {
        return Ok(None);
    }
    cache.turn_of_symbol_key(key.id).await;
    Ok(Some(key.project_id))
}

/// Notes the last use, at most once a minute. That the note fails is no reason to refuse anybody.
async fn note_use(db: &Db, clock: &Clock, key: &SymbolKey) {
    let now = clock.now();
    let noted = key.last_used_at.is_some_and(|at| now - at < chrono::TimeDelta::minutes(1));
    if key.revoked_at.is_none()
        && !noted
        && let Err(error) = db.touch_symbol_key(key.id, now).await
    {
        tracing::warn!(symbol_key.id = key.id, %error, "the last use of a symbol key could not be noted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_needs_no_escape_in_a_path_and_never_comes_twice() {
        let key = mint();
        assert_eq!(key.len(), KEY_START.len() + 64);
        assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{key}");
        assert_ne!(key, mint());
        assert_eq!(as_minted(&key.to_uppercase()), key);
        let older = "sdkey_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE";
        assert_eq!(as_minted(older), older);
    }
}
