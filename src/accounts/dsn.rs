//! Client keys: with one an SDK sends events to a project and can do nothing else. A key is part of programs that anybody can
//! read, so it is no secret and is stored and listed as it is.

use rand::TryRngCore as _;

use crate::clock::Clock;
use crate::db::{Db, DbError};
use crate::types::ProjectKey;

/// Bytes of a key, each written as two digits.
const KEY: usize = 16;

/// Makes a key of a project.
pub async fn issue_project_key(db: &Db, clock: &Clock, project_id: i64, name: &str) -> Result<ProjectKey, DbError> {
    let mut bytes = [0; KEY];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).expect("the system has a source of random bytes");
    let text = hex::encode(bytes);
    db.insert_project_key(project_id, &text, name, clock.now()).await?;
    db.project_key(&text).await?.ok_or(DbError::Contended("the key was removed meanwhile"))
}

/// The address with which a client is configured: scheme and host of `public_url`, the key, the id of the project.
pub fn dsn(public_url: &str, key: &str, project_id: i64) -> String {
    let url = if public_url.is_empty() { "http://HOST" } else { public_url.trim_end_matches('/') };
    let (scheme, host) = url.split_once("://").unwrap_or(("http", url));
    format!("{scheme}://{key}@{host}/{project_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_keeps_scheme_port_and_prefix() {
        assert_eq!(dsn("https://depot.example:8443/", "k", 7), "https://k@depot.example:8443/7");
        assert_eq!(dsn("http://h/p", "k", 7), "http://k@h/p/7");
        assert_eq!(dsn("", "k", 7), "http://k@HOST/7");
    }
}
