//! [`Keys`]: access keys that an S3 server knows. Some go with a session, without whose token they open nothing.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};
use symdepot::clock::Clock;

/// Known keys. A clone knows the same.
#[derive(Clone, Default)]
pub struct Keys(Arc<Mutex<Vec<Key>>>);

/// One of them.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub id: String,
    /// What requests are signed with.
    pub secret: String,
    /// What has to be said along with it, unless that is empty.
    pub session: String,
    /// When whoever has it is told to have another.
    pub expires: DateTime<Utc>,
}

impl Keys {
    /// Only this one, for ever and without a session.
    pub fn only(id: &str, secret: &str) -> Self {
        let (id, secret) = (id.to_owned(), secret.to_owned());
        Self(Arc::new(Mutex::new(vec![Key { id, secret, session: String::new(), expires: DateTime::<Utc>::MAX_UTC }])))
    }

    /// One more, with a session of so long.
    pub fn issue(&self, lifetime: TimeDelta) -> Key {
        let mut keys = self.0.lock().unwrap();
        let number = keys.len();
        let (id, secret) = (format!("ASIA{number:016}"), format!("geheim/{number}+geheim"));
        let (session, expires) = (format!("session/{number}+session=="), Clock::System.now() + lifetime);
        keys.push(Key { id, secret, session, expires });
        keys[number].clone()
    }

    /// All of them, in the order in which they were issued.
    pub fn all(&self) -> Vec<Key> {
        self.0.lock().unwrap().clone()
    }

    /// Has all but the newest open nothing any more.
    pub fn revoke_old(&self) {
        let mut keys = self.0.lock().unwrap();
        if let Some((_newest, old)) = keys.split_last_mut() {
            old.iter_mut().for_each(|key| "revoked".clone_into(&mut key.session));
        }
    }

    /// Whether this session is the one that goes with the key. One that is unknown is told by its signature.
    pub fn fits(&self, id: &str, session: &str) -> bool {
        self.0.lock().unwrap().iter().all(|key| key.id != id || key.session == session)
    }
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, id: &str) -> S3Result<SecretKey> {
        let keys = self.0.lock().unwrap();
        let key = keys.iter().find(|key| key.id == id).ok_or_else(|| s3_error!(InvalidAccessKeyId))?;
        Ok(key.secret.as_str().into())
    }
}
