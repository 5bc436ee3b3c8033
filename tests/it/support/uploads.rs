//! What `sentry-cli` does, step by step: chunks sent, files asked for, polls until the end.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use symdepot::types::Sha1;

use super::client::{Account, Client};
use super::{fixtures, until};

/// A file as a client uploads it.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Name that the client gives.
    pub name: String,
    /// Content.
    pub content: Vec<u8>,
    /// Debug id that the client gives.
    pub debug_id: Option<String>,
    /// Size of the chunks.
    pub chunk_size: usize,
}

impl Upload {
    /// A file in chunks of 8 MiB, without a debug id.
    pub fn new(name: &str, content: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), content: content.into(), debug_id: None, chunk_size: 8 << 20 }
    }

    /// A fixture under its own name.
    pub fn fixture(path: &str) -> Self {
        Self::new(path.rsplit('/').next().unwrap(), fixtures::read(path))
    }

    /// The same under another name.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The same ELF file with another build id: the `number`th of many.
    pub fn another(&self, number: u32) -> Self {
        const GNU_NOTE: &[u8] = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
        let mut another = self.clone();
        let note = another.content.windows(GNU_NOTE.len()).position(|bytes| bytes == GNU_NOTE).expect("a build id");
        let build_id = note + GNU_NOTE.len();
        another.content[build_id..build_id + 4].copy_from_slice(&number.to_be_bytes());
        another
    }

    /// The same with the debug id that the client gives.
    pub fn debug_id(mut self, debug_id: &str) -> Self {
        self.debug_id = Some(debug_id.to_owned());
        self
    }

    /// The same in chunks of another size.
    pub fn chunk_size(mut self, chunk_size: usize) -> Self {
        self.chunk_size = chunk_size;
        self
    }

    /// Checksum of the whole.
    pub fn sha1(&self) -> Sha1 {
        Sha1::of(&self.content)
    }

    /// The chunks in order, with repeats.
    pub fn chunks(&self) -> Vec<&[u8]> {
        self.content.chunks(self.chunk_size).collect()
    }

    /// What an assemble request says of it.
    pub fn entry(&self) -> Value {
        let chunks: Vec<_> = self.chunks().into_iter().map(Sha1::of).collect();
        let mut entry = json!({ "name": self.name, "chunks": chunks });
        if let Some(debug_id) = &self.debug_id {
            entry["debug_id"] = debug_id.as_str().into();
        }
        entry
    }
}

impl Client {
    /// Sends chunks in one request, each named by its checksum.
    pub async fn send_chunks(&self, account: &Account, chunks: &[&[u8]]) -> Response {
        let form = chunks.iter().fold(Form::new(), |form, chunk| {
            form.part("file", Part::bytes(chunk.to_vec()).file_name(Sha1::of(chunk).to_string()))
        });
        let path = format!("{}chunk-upload/", account.organization_path());
        self.request_as(&account.token, Method::POST, &path).multipart(form).send().await.unwrap()
    }

    /// Asks where files stand, once: the body of an assemble request is given as it is.
    pub async fn ask_assemble(&self, account: &Account, body: &Value) -> Response {
        let path = format!("{}files/difs/assemble/", account.project_path());
        self.request_as(&account.token, Method::POST, &path).json(body).send().await.unwrap()
    }

    /// Where one file stands, asked with its chunks.
    pub async fn ask(&self, account: &Account, upload: &Upload) -> Value {
        self.ask_with(account, upload.sha1(), upload.entry()).await
    }

    /// Where one file stands, asked without its chunks.
    pub async fn peek(&self, account: &Account, upload: &Upload) -> Value {
        let mut entry = upload.entry();
        entry["chunks"] = json!([]);
        self.ask_with(account, upload.sha1(), entry).await
    }

    /// Where the file of this checksum stands, asked with an entry of one's choice.
    pub async fn ask_with(&self, account: &Account, sha1: Sha1, entry: Value) -> Value {
        let sha1 = sha1.to_string();
        let response = self.ask_assemble(account, &json!({ (sha1.as_str()): entry })).await;
        assert_eq!(response.status(), 200);
        response.json::<BTreeMap<String, Value>>().await.unwrap().remove(&sha1).unwrap()
    }

    /// Sends all chunks of a file, each once.
    pub async fn send(&self, account: &Account, upload: &Upload) {
        let chunks: Vec<_> = BTreeSet::from_iter(upload.chunks()).into_iter().collect();
        for batch in chunks.chunks(4) {
            let response = self.send_chunks(account, batch).await;
            assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        }
    }

    /// The debug files of a project that are listed, newest first.
    pub async fn listed(&self, account: &Account) -> Vec<Value> {
        let path = format!("{}files/dsyms/", account.project_path());
        let response = self.request_as(&account.token, Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    /// Asks until a file has come to an end, whichever.
    pub async fn poll(&self, account: &Account, upload: &Upload) -> Value {
        until("the assembly ends", || async {
            let entry = self.ask(account, upload).await;
            (!matches!(entry["state"].as_str(), Some("created" | "assembling"))).then_some(entry)
        })
        .await
    }

    /// Uploads a file to the end, whichever: sends all its chunks, asks, polls.
    pub async fn upload_to(&self, account: &Account, upload: &Upload) -> Value {
        self.send(account, upload).await;
        self.poll(account, upload).await
    }

    /// Uploads a file to the default project, to the end, whichever.
    pub async fn upload(&self, upload: &Upload) -> Value {
        self.upload_to(&self.account, upload).await
    }

    /// Uploads a file to the default project and fails the test if it is not taken. Returns its `dif`.
    pub async fn upload_ok(&self, upload: &Upload) -> Value {
        let mut entry = self.upload(upload).await;
        assert_eq!(entry["state"], "ok", "{}: {entry}", upload.name);
        entry["dif"].take()
    }
}
