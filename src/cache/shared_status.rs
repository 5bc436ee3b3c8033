//! [`SharedStatus`]: states of assemblies in Redis, where every process of an installation sees them at once.
//!
//! Redis may be slow, gone, empty or back at any moment. Each question has a short limit, after a failure nobody asks for
//! a second, and nothing here ever fails for its caller: no answer means that nothing is remembered.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, FromRedisValue, Pipeline, RedisError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::circuit::Circuit;
use super::status::{Remembered, RememberedState};
use crate::config;
use crate::types::Sha1;

/// Keys in one command at most, so that no question keeps Redis from everybody else.
const KEYS: usize = 1000;

/// States in Redis. A clone is the same.
#[derive(Clone)]
pub struct SharedStatus(Arc<Inner>);

struct Inner {
    client: Client,
    /// Replaced after a time-out: a connection whose other end is gone without a word would never say so.
    connection: Mutex<ConnectionManager>,
    circuit: Circuit,
    prefix: String,
    ttl: Duration,
    timeout: Duration,
}

/// Why states are not shared.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Redis, or the way to it, said so.
    #[error("{0}")]
    Redis(#[from] RedisError),
    /// There was no answer in time.
    #[error("there was no answer within {0:?}")]
    Timeout(Duration),
}

/// A state as it stands in Redis.
#[derive(Serialize, Deserialize)]
struct Record {
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    since: DateTime<Utc>,
}

impl SharedStatus {
    /// Connects when it is first asked, so that a process starts while Redis is away.
    pub fn open(settings: &config::Status) -> Result<Self, StatusError> {
        let client = Client::open(settings.url.as_str())?;
        Ok(Self(Arc::new(Inner {
            connection: Mutex::new(connect_lazily(&client, settings.timeout)?),
            client,
            circuit: Circuit::default(),
            prefix: settings.prefix.clone(),
            ttl: settings.ttl,
            timeout: settings.timeout,
        })))
    }

    /// What is remembered of many.
    pub async fn get_many(&self, project_id: i64, sha1s: &[Sha1]) -> HashMap<Sha1, Remembered> {
        let mut found = HashMap::new();
        for sha1s in sha1s.chunks(KEYS) {
            let mut get = redis::pipe();
            let command = get.cmd("MGET");
            for &sha1 in sha1s {
                command.arg(self.key(project_id, sha1));
            }
            let Some((values,)) = self.ask::<(Vec<Option<Vec<u8>>>,)>(&get).await else { break };
            let known = sha1s.iter().zip(values).filter_map(|(sha1, value)| Some((*sha1, read(&value?)?)));
            found.extend(known);
        }
        found
    }

    /// Remembers many states.
    pub async fn set_many(&self, project_id: i64, states: &[(Sha1, Remembered)]) {
        let ttl = u64::try_from(self.0.ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        for states in states.chunks(KEYS) {
            let mut set = redis::pipe();
            for (sha1, remembered) in states {
                set.cmd("SET").arg(self.key(project_id, *sha1)).arg(write(remembered)).arg("PX").arg(ttl).ignore();
            }
            if self.ask::<()>(&set).await.is_none() {
                break;
            }
        }
    }

    /// Forgets a state. If that fails it stands for at most its time, and is outdone by the rows meanwhile.
    pub async fn clear(&self, project_id: i64, sha1: Sha1) {
        let mut clear = redis::pipe();
        clear.cmd("DEL").arg(self.key(project_id, sha1)).ignore();
        self.ask::<()>(&clear).await;
    }

    /// The response of a symbolication request; empty while it is pending.
    pub async fn result(&self, project_id: i64, id: Uuid) -> Option<Vec<u8>> {
        let mut get = redis::pipe();
        get.cmd("GET").arg(self.result_key(project_id, id));
        let (value,) = self.ask::<(Option<Vec<u8>>,)>(&get).await?;
        value
    }

    /// Remembers the response of a symbolication request for `ttl`; an empty one says that it is pending.
    pub async fn set_result(&self, project_id: i64, id: Uuid, response: &[u8], ttl: Duration) {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut set = redis::pipe();
        set.cmd("SET").arg(self.result_key(project_id, id)).arg(response).arg("PX").arg(ttl).ignore();
        self.ask::<()>(&set).await;
    }

    /// Asks for a sign of life, whatever came of the last questions.
    pub async fn ping(&self) -> Result<(), StatusError> {
        let mut ping = redis::pipe();
        ping.cmd("PING").ignore();
        let answer = self.send::<()>(&ping).await;
        self.note(answer.as_ref().err());
        answer
    }

    /// What Redis answers, or `None` if it does not, or did not a moment ago.
    async fn ask<T: FromRedisValue>(&self, question: &Pipeline) -> Option<T> {
        if !self.0.circuit.lets_through() {
            return None;
        }
        let answer = self.send(question).await;
        self.note(answer.as_ref().err());
        answer.ok()
    }

    async fn send<T: FromRedisValue>(&self, question: &Pipeline) -> Result<T, StatusError> {
        let inner = &self.0;
        let mut connection = inner.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Ok(answer) = tokio::time::timeout(inner.timeout, question.query_async(&mut connection)).await {
            return Ok(answer?);
        }
        let fresh = connect_lazily(&inner.client, inner.timeout)?;
        *inner.connection.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Err(StatusError::Timeout(inner.timeout))
    }

    fn note(&self, error: Option<&StatusError>) {
        match error {
            None if self.0.circuit.answered() => tracing::info!("the status cache answers again"),
            Some(error) if self.0.circuit.failed() => {
                tracing::warn!(%error, "the status cache does not answer; polls are answered from the rows");
            }
            _ => {}
        }
    }

    fn result_key(&self, project_id: i64, id: Uuid) -> String {
        format!("{}:result:{project_id}:{id}", self.0.prefix)
    }

    fn key(&self, project_id: i64, sha1: Sha1) -> String {
        format!("{}:status:{project_id}:{sha1}", self.0.prefix)
    }
}

/// A connection that is made when it is first used, and made anew when it broke, one try at a time.
fn connect_lazily(client: &Client, timeout: Duration) -> Result<ConnectionManager, RedisError> {
    let settings = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(None);
    ConnectionManager::new_lazy_with_config(client.clone(), settings)
}

fn write(remembered: &Remembered) -> Vec<u8> {
    let RememberedState { state, detail } = &remembered.state;
    let record = Record { state: state.as_str().to_owned(), detail: detail.clone(), since: remembered.since };
    serde_json::to_vec(&record).expect("text and a time are JSON")
}

/// A state, unless it was written by a version that says it in another way.
fn read(value: &[u8]) -> Option<Remembered> {
    let Record { state, detail, since } = serde_json::from_slice(value).ok()?;
    Some(Remembered { state: RememberedState { state: state.parse().ok()?, detail }, since })
}

impl fmt::Debug for SharedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedStatus")
    }
}
