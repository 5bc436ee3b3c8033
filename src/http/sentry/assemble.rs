//! `POST difs/assemble/`: from a batch of wanted files to where each stands. It never touches bytes.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::assemble_schema::{SchemaError, wanted_files};
use super::dif::dif;
use crate::accounts::Upload;
use crate::app::App;
use crate::http::auth::ProjectAccess;
use crate::http::error::ApiError;
use crate::http::extract::RawBody;
use crate::uploads::Answer;

/// Most bytes of one request's JSON: some ten thousand files of ordinary size.
pub const MAX_BODY: usize = 64 << 20;

/// Answers where each wanted file stands, and queues those whose chunks are all there.
pub async fn assemble(
    State(app): State<App>,
    access: ProjectAccess<Upload>,
    RawBody(body): RawBody,
) -> Result<Json<Value>, ApiError> {
    let wanted = wanted_files(&body)?;
    let answers = app.requests().answer(&access.project, &wanted).await?;
    let entries: Map<_, _> =
        wanted.iter().zip(&answers).map(|(wish, answer)| (wish.sha1.to_string(), entry(answer))).collect();
    Ok(Json(Value::Object(entries)))
}

impl From<SchemaError> for ApiError {
    fn from(error: SchemaError) -> Self {
        Self::Refused(error.0)
    }
}

fn entry(answer: &Answer) -> Value {
    match answer {
        Answer::Ok { file, detail } => {
            json!({"state": "ok", "detail": detail, "missingChunks": [], "dif": dif(file)})
        }
        Answer::State(remembered) => {
            json!({"state": remembered.state.as_str(), "detail": remembered.detail, "missingChunks": []})
        }
        Answer::Queued => json!({"state": "created", "missingChunks": []}),
        Answer::NotFound(missing) => json!({"state": "not_found", "missingChunks": missing}),
    }
}
