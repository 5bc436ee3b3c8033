//! Symbol keys: what a debugger can carry in the path of a URL. A key opens one project, for reading alone, and never
//! anything but the symbol-server paths.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore as _;
use subtle::ConstantTimeEq as _;

use super::token::{NewSecret, hash_token};
use crate::cache::CallerCache;
use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::types::SymbolKey;

/// What every key begins with, so that it can be told from anything else and kept out of logs.
pub const KEY_START: &str = "sdkey_";

/// Mints a key of a project and stores its hash.
pub async fn issue_symbol_key(db: &Db, clock: &Clock, project_id: i64, name: &str) -> Result<NewSecret, DbError> {
    let text = mint();
    let id = db.insert_symbol_key(project_id, name, &hash_token(&text), clock.now()).await?;
    Ok(NewSecret { id, text })
}

/// A fresh key text, of letters that need no escape in a path.
fn mint() -> String {
    let mut secret = [0; 32];
    rand::rngs::OsRng.try_fill_bytes(&mut secret).expect("the system has a source of random bytes");
    format!("{KEY_START}{}", URL_SAFE_NO_PAD.encode(secret))
}

/// The project that the key `text` opens, if it is a key that was not taken back, when it is the key's turn.
pub(super) async fn project_of_key(
    db: &Db,
    cache: &CallerCache,
    clock: &Clock,
    text: &str,
) -> Result<Option<i64>, DbError> {
    let hash = hash_token(text);
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
        assert_eq!(key.len(), KEY_START.len() + 43);
        assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')), "{key}");
        assert_ne!(key, mint());
    }
}
