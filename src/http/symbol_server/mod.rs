//! The symbol server: what debuggers ask for under `/symbols/`, in the path of whichever protocol they speak. Each
//! path becomes a wish, and all wishes are met from the same rows. It never answers with a file of a project that the
//! asker may not read.

mod access;
mod artifacts;
mod debuginfod;
mod layouts;
mod metadata;
mod plain;

use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse as _, Response};

use super::content::{Content, elsewhere};
use super::error::{ApiError, ApiResult};
use super::extract::QueryPairs;
use super::hang_up::HangUp;
use super::{symbolicate, upstream};
use crate::app::App;
use crate::debug_files::{self, Wanted, What};
use crate::symcaches::Making;
use crate::types::DebugFile;

pub use access::{Access, logged_path};
pub use debuginfod::is_meant as is_debuginfod;

/// One look: who asks, for what and how. Its headers may have a credential in them, so it is never printed.
pub struct Look {
    /// The handles.
    pub app: App,
    /// What the asker may read, and what it asks for.
    pub access: Access,
    /// `GET` or `HEAD`.
    pub method: Method,
    /// The headers.
    pub headers: HeaderMap,
}

/// `GET /symbols/…`.
pub async fn look_up(
    State(app): State<App>,
    ConnectInfo(hang_up): ConnectInfo<HangUp>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answer = answer(app, method, &uri, headers);
    if debuginfod::is_meant(uri.path()) {
        debuginfod::told(answer, &hang_up).await
    } else {
        answer.await.into_response()
    }
}

async fn answer(app: App, method: Method, uri: &Uri, headers: HeaderMap) -> ApiResult<Response> {
    let access = Access::of(&app, uri.path(), &headers).await?;
    let look = Look { app, access, method, headers };
    if look.access.rest == metadata::PATH {
        return metadata::answer(&look, &QueryPairs::of(uri)?).await;
    }
    if let Some(asked) = debuginfod::parse(&look.access.rest) {
        return debuginfod::answer(&look, asked).await;
    }
    plain::answer(&look).await
}

/// Whether the path behind a base is one that some protocol has, found or not.
fn is_request(rest: &str) -> bool {
    matches!(rest, metadata::PATH | plain::PING_ME)
        || rest == symbolicate::PATH
        || debuginfod::parse(rest).is_some()
        || layouts::parse(rest).is_some()
        || layouts::ssqp::compressed(rest).is_some()
        || layouts::breakpad::by_code_id(rest).is_some()
}

impl Look {
    /// The best file for a wish that the asker may read.
    pub async fn find(&self, wanted: &Wanted) -> ApiResult<DebugFile> {
        let mut found = self.app.shelf.find(&self.access.project_ids, wanted).await?;
        if found.is_none() && self.brought(wanted).await? {
            found = self.app.shelf.find(&self.access.project_ids, wanted).await?;
        }
        if found.is_none() {
            self.missed(wanted);
        }
        found.ok_or(ApiError::NotFound)
    }

    /// Whether an upstream has just brought what the project did not have. Whoever looks into several projects at once
    /// asks the upstreams of none of them, because what they bring would be of one.
    pub async fn brought(&self, wanted: &Wanted) -> ApiResult<bool> {
        match self.access.project_ids[..] {
            [project_id] if self.may_fetch().await => {
                let brought = upstream::brought(&self.app, project_id, wanted, Duration::MAX).await;
                if let Err(ApiError::NotFoundBecause(_)) = brought {
                    self.missed(wanted);
                }
                brought
            }
            _ => Ok(false),
        }
    }

    /// Whether the client may cause an outgoing request: it has a credential, or the setting allows it to all at a rate.
    async fn may_fetch(&self) -> bool {
        if !self.access.authenticated && self.app.config.upstreams.anonymous {
            self.app.callers.turn_of_anonymous(self.access.organization_id).await;
        }
        self.access.authenticated || self.app.config.upstreams.anonymous
    }

    /// Counts a wish that was not met. Whoever looks into all projects of an organization misses it in none of them.
    pub fn missed(&self, wanted: &Wanted) {
        let asker = match wanted.what {
            _ if debuginfod::parse(&self.access.rest).is_some() => "debuginfod",
            What::Breakpad => "breakpad",
            _ => "symbol server",
        };
        if let [project_id] = self.access.project_ids[..] {
            self.app.misses.of_client(self.access.authenticated).note(
                project_id,
                &wanted.id,
                wanted.what.into(),
                wanted.name.as_deref(),
                asker,
            );
        }
    }

    /// The bytes of a file: whole, in parts, or not at all if the asker has them.
    pub async fn send(&self, file: DebugFile) -> ApiResult<Response> {
        self.app.uses.note([file.id]);
        let content = Content::asked(&self.method, &self.headers, file.sha1, file.size);
        let content = content.changed_at(&self.headers, file.created_at);
        match content.needed() {
            Some(_) => self.content(&content, file).await,
            None => Ok(self.kept(content.answer(axum::body::Body::empty()))),
        }
    }

    /// The bytes of what was made from a file. What cannot be made is not there, and the sentence says why.
    pub async fn send_made(&self, making: Making) -> ApiResult<Response> {
        let made = match making {
            Making::Made(made) => made,
            Making::Malformed(reason) => return Err(ApiError::NotFoundBecause(reason)),
        };
        let content = Content::asked(&self.method, &self.headers, made.sha1, made.size);
        let content = content.changed_at(&self.headers, made.created_at);
        Ok(self.kept(content.stream(|range| self.app.symcaches.read_derived(&made, range)).await?))
    }

    /// The answer with bytes: those of small files from memory, others from here or wherever they can be fetched.
    async fn content(&self, content: &Content, file: DebugFile) -> ApiResult<Response> {
        if let Some(bytes) = self.app.shelf.at_hand(&file).await {
            return Ok(self.kept(content.bytes(&bytes)));
        }
        let open = debug_files::open_found(&self.app.db, &self.app.blobs, file).await?;
        if content.may_be_elsewhere()
            && let Some(url) = open.elsewhere().await?
        {
            return elsewhere(&url);
        }
        Ok(self.kept(match self.app.shelf.fetch(&open).await? {
            Some(bytes) => content.bytes(&bytes),
            None => content.stream(|range| open.read(range)).await?,
        }))
    }

    /// The answer with the word on who may keep it. What an id means may change with the next upload, so whoever kept
    /// it asks again when a while is over.
    pub fn kept(&self, mut response: Response) -> Response {
        let who = if self.access.public { "public, max-age=600" } else { "private, max-age=600" };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(who));
        response
    }
}
