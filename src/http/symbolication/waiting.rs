//! How long a client waits for a response, and where it finds one that took longer. It never does the work itself: what a
//! client waits for is cancelled with it, what was promised to it goes on.

use std::future::Future;
use std::time::Duration;

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::app::App;
use crate::cache::RememberedResult;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::QueryPairs;
use crate::symbolication::{failed, pending};

/// Longest time that a client may wait.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// Between two looks at a response that is not there yet.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The parameter `timeout`, if there is one.
pub fn timeout(query: &QueryPairs) -> ApiResult<Option<Duration>> {
    let Some(text) = query.first("timeout") else { return Ok(None) };
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err(ApiError::BadRequest("`timeout` is a whole number of seconds, such as 30.".to_owned()));
    }
    // One with more digits than a number holds is as long as any.
    let seconds = text.parse().unwrap_or(u64::MAX);
    Ok(Some(Duration::from_secs(seconds).min(MAX_WAIT)))
}

/// The response of `work`, or after `timeout` where it will be found.
pub async fn responded(
    app: &App,
    project_id: i64,
    timeout: Option<Duration>,
    work: impl Future<Output = ApiResult<Vec<u8>>> + Send + 'static,
) -> ApiResult<Response> {
    // Aborted with the request, until the client is told where to ask again.
    let mut task = AbortOnDropHandle::new(tokio::spawn(work));
    let ended = match timeout {
        None => Some((&mut task).await),
        Some(timeout) => tokio::time::timeout(timeout, &mut task).await.ok(),
    };
    if let Some(ended) = ended {
        return Ok(json(ended.map_err(ApiError::internal)??.into()));
    }
    let id = app.clock.fresh_id();
    let results = app.symbolication.results.clone();
    results.begin(project_id, id).await;
    app.tasks.spawn(async move {
        let response = match task.await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => failed(error.sentence()),
            Err(error) => {
                tracing::error!(%error, "a symbolication request ended without a response");
                failed("The request was stopped before it was finished. Send it again.")
            }
        };
        results.finish(project_id, id, response.into()).await;
    });
    Ok(json(pending(id).into()))
}

/// The response of an earlier request, waiting up to `wait` for one that is not finished.
pub async fn remembered(app: &App, project_id: i64, id: &str, wait: Duration) -> ApiResult<Response> {
    let unknown = || {
        ApiError::NotFoundBecause("There is no request with this id, or its time is over. Send it again.".to_owned())
    };
    let id: Uuid = id.parse().map_err(|_| unknown())?;
    let until = Instant::now() + wait;
    loop {
        match app.symbolication.results.get(project_id, id).await.ok_or_else(unknown)? {
            RememberedResult::Finished(response) => return Ok(json(response)),
            RememberedResult::Pending if Instant::now() >= until => return Ok(json(pending(id).into())),
            RememberedResult::Pending => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

fn json(text: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
