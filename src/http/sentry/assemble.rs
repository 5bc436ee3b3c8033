//! `POST difs/assemble/`: from a batch of wanted files to where each stands. It never touches bytes of a file.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use super::{assemble_answer, assemble_body};
use crate::accounts::Upload;
use crate::app::App;
use crate::http::auth::ProjectAccess;
use crate::http::error::ApiResult;
use crate::types::Sha1;
use crate::uploads::{Answer, refused};

/// Answers where each wanted file stands, and queues those whose chunks are all there.
pub async fn assemble(State(app): State<App>, access: ProjectAccess<Upload>, body: Body) -> ApiResult<Response> {
    let question = assemble_body::read(&app, access.project.organization_id, body).await?;
    let (mut wanted, mut entries) = (Vec::new(), Vec::with_capacity(question.asked.len()));
    for (sha1, file) in question.asked {
        match file {
            Ok(file) => {
                wanted.push(file);
                entries.push((sha1, None));
            }
            Err(message) => entries.push((sha1, Some(refused(&message)))),
        }
    }
    let mut answers = app.requests().answer(&access.project, &wanted).await?.into_iter();
    drop(wanted);
    let answer = |(sha1, refused): (Sha1, Option<Answer>)| Some((sha1, refused.or_else(|| answers.next())?));
    let entries = entries.into_iter().filter_map(answer).collect();
    assemble_answer::respond(&app, entries, question.permit).await
}
