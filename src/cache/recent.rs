//! [`Recent`]: answers of the last moment, so that a storm of equal questions asks the rows once. It is never the
//! truth: whoever changes a row forgets its answer, and other processes see the change when the moment is over.

use std::fmt;
use std::hash::Hash;
use std::time::Duration;

/// Answers by question, each for a moment.
#[derive(Clone)]
pub struct Recent<K, V>(moka::future::Cache<K, V>);

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Recent<K, V> {
    /// Remembers each of up to `capacity` answers for `moment`.
    pub fn new(moment: Duration, capacity: u64) -> Self {
        Self(moka::future::Cache::builder().max_capacity(capacity).time_to_live(moment).build())
    }

    /// The answer, if it was given a moment ago.
    pub async fn get(&self, question: &K) -> Option<V> {
        self.0.get(question).await
    }

    /// Remembers an answer.
    pub async fn set(&self, question: K, answer: V) {
        self.0.insert(question, answer).await;
    }

    /// Forgets an answer.
    pub async fn forget(&self, question: &K) {
        self.0.invalidate(question).await;
    }
}

impl<K, V> fmt::Debug for Recent<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recent")
    }
}
