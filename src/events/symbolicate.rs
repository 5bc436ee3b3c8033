//! Native events and dumps on their way: symbolicated within the time that the settings allow, then ready to be grouped, with or
//! without names. A failure costs the names and never the event.

use std::io::{Seek as _, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::Value;
use symdepot_events::Object;

use super::prepare::{self, Outcome, Symbolicated};
use super::record::{NewAttachment, Record};
use super::{Events, Treatment, native};
use crate::blobs::{BlobError, read_ahead};
use crate::db::DbError;
use crate::symbolication::{Asker, Options, SymbolicateRequest};

impl Events {
    /// What a record that waits for symbolication becomes.
    pub async fn symbolicated(&self, record: &Record, treatment: &Arc<Treatment>) -> Result<Outcome, DbError> {
        let (owned, with, max_event) = (record.clone(), Arc::clone(treatment), self.settings.max_event);
        let normalized = tokio::task::spawn_blocking(move || prepare::normalized(&owned, &with, max_event)).await;
        let mut event = match normalized.map_err(|_| DbError::Contended("an event could not be prepared"))? {
            Ok(event) => event,
            Err(outcome) => return Ok(outcome),
        };
        let wait = self.settings.symbolication_wait;
        let symbolicated = match tokio::time::timeout(wait, self.name_frames(record, &mut event)).await {
            Ok(Ok(missing)) => Symbolicated { state: "done", missing },
            Ok(Err(reason)) => {
                tracing::info!(
                    project.id = record.project_id,
                    event.id = record.event_id,
                    reason,
                    "an event is grouped without names"
                );
                Symbolicated { state: "failed", missing: Vec::new() }
            }
            Err(_elapsed) => {
                tracing::info!(
                    project.id = record.project_id,
                    event.id = record.event_id,
                    "symbolication took too long; an event is grouped without names"
                );
                Symbolicated { state: "failed", missing: Vec::new() }
            }
        };
        let (owned, with) = (record.clone(), Arc::clone(treatment));
        let grouped = tokio::task::spawn_blocking(move || prepare::grouped(event, &owned, &with, symbolicated)).await;
        grouped
            .map(|prepared| Outcome::Event(Box::new(prepared)))
            .map_err(|_| DbError::Contended("an event could not be grouped"))
    }

    /// Names the frames of an event in place; the modules that were missing.
    pub(super) async fn name_frames(
        &self,
        record: &Record,
        event: &mut Object,
    ) -> Result<Vec<(String, Option<String>)>, String> {
        let asker = self.asker(record).await?;
        let report = record.attachments.iter().find(|file| record.crash.as_deref() == Some(file.kind.as_str()));
        let Some(report) = report else {
            let body = native::request(event).to_string();
            let request = SymbolicateRequest::read(body.as_bytes())?;
            let permit = self.symbolication.limiter.acquire(record.organization_id).await;
            let _permit = permit.map_err(|_| "symbolication is busy")?;
            let response = self.symbolication.symbolicate(&asker, request).await.map_err(|error| error.to_string())?;
            return Ok(native::apply(event, &completed(&response)?));
        };
        let file = self.copied(report).await.map_err(|error| error.to_string())?;
        let permit = self.symbolication.limiter.acquire(record.organization_id).await;
        let _permit = permit.map_err(|_| "symbolication is busy")?;
        let options = Options::default();
        let response = match report.kind.as_str() {
            "event.applecrashreport" => self.symbolication.apple_report(&asker, &file, options).await,
            _ => {
                let dump = self.symbolication.dumps.acquire(record.organization_id).await;
                let _dump = dump.map_err(|_| "symbolication is busy")?;
                self.symbolication.minidump(&asker, &file, options).await
            }
        };
        Ok(native::apply_dump(event, &completed(&response.map_err(|error| error.to_string())?)?))
    }

    async fn asker(&self, record: &Record) -> Result<Asker, String> {
        let found = self.db.project_with_organization(record.project_id).await.map_err(|error| error.to_string())?;
        let (project, organization) = found.ok_or("its project is not there")?;
        let path = format!("{organization}/{}", project.slug);
        Ok(Asker {
            project: Arc::new(project),
            path,
            kind: if record.crash.is_some() { "minidump" } else { "symbolicate" },
        })
    }

    /// A nameless copy of an attachment.
    async fn copied(&self, attachment: &NewAttachment) -> Result<std::fs::File, BlobError> {
        let content = read_ahead(Arc::clone(&self.blobs), vec![attachment.blob.clone()]);
        let mut content = std::pin::pin!(content);
        let failed = |error| BlobError::io("copy an attachment", error);
        let mut file = tempfile::tempfile_in(&self.temp_dir).map_err(failed)?;
        while let Some(bytes) = content.next().await {
            let bytes: Bytes = bytes?;
            file.write_all(&bytes).map_err(failed)?;
        }
        file.rewind().map_err(failed)?;
        Ok(file)
    }
}

/// A response that is complete.
fn completed(response: &[u8]) -> Result<Value, String> {
    let response: Value = serde_json::from_slice(response).map_err(|error| error.to_string())?;
    match response["status"].as_str() {
        Some("completed") => Ok(response),
        Some("failed") => Err(response["message"].as_str().unwrap_or("symbolication failed").to_owned()),
        other => Err(format!("symbolication ended as {}", other.unwrap_or("nothing"))),
    }
}
