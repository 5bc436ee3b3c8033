//! Symcaches as a symbolication worker sees them: asked over HTTP, looked up with the reader of today.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use symbolic::symcache::SymCache;

use super::client::{Account, Client};

impl Client {
    /// Asks for the symcache of a debug id, waiting up to so many seconds for its build.
    pub async fn symcache(&self, account: &Account, debug_id: &str, wait: u32) -> Response {
        let path = format!("{}{debug_id}?wait={wait}", account.symcaches_path());
        self.request_as(&account.token, Method::GET, &path).send().await.unwrap()
    }

    /// The bytes of a symcache, which must come to be.
    pub async fn symcache_bytes(&self, account: &Account, debug_id: &str) -> Vec<u8> {
        let response = self.symcache(account, debug_id, 60).await;
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        response.bytes().await.unwrap().to_vec()
    }

    /// Where the symcache of a debug id stands.
    pub async fn symcache_status(&self, account: &Account, debug_id: &str) -> Value {
        let path = format!("{}status", account.symcaches_path());
        let question = json!({ "debug_ids": [debug_id] });
        let response = self.request_as(&account.token, Method::POST, &path).json(&question).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json::<Value>().await.unwrap()[debug_id].take()
    }
}

/// The frames at an address of a symcache, innermost first, as `function @ file:line`.
pub fn frames(symcache: &[u8], address: u64) -> Vec<String> {
    // The reader wants its bytes aligned, as those of a fresh vector are.
    let symcache = symcache.to_vec();
    let symcache = SymCache::parse(&symcache).unwrap();
    let frame = |location: symbolic::symcache::SourceLocation<'_, '_>| {
        let file = location.file().map(|file| file.full_path()).unwrap_or_default();
        format!("{} @ {file}:{}", location.function().name(), location.line())
    };
    symcache.lookup(address).map(frame).collect()
}
