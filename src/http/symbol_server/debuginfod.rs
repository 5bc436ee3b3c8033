//! debuginfod: files by build id, as gdb, lldb, perf and everything else that links libdebuginfod ask for them.
//!
//! Its client takes any answer but a file for "there is no such file", and remembers that for ten minutes. So trouble
//! that passes is never answered here: the connection is reset, and the client asks again.

use std::panic::AssertUnwindSafe;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use serde_json::json;

use super::Look;
use super::artifacts::{self, Artifact};
use crate::debug_files::{Wanted, WantedId, What};
use crate::http::error::{ApiError, ApiResult};
use crate::http::hang_up::HangUp;
use crate::http::panic_response;

const SIZE: HeaderName = HeaderName::from_static("x-debuginfod-size");
const FILE: HeaderName = HeaderName::from_static("x-debuginfod-file");
const MAX_SIZE: HeaderName = HeaderName::from_static("x-debuginfod-maxsize");

/// The longest build id, in digits.
const LONGEST_ID: usize = 255;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Build id, in lower case.
    build_id: String,
    part: Part<'a>,
}

/// What is asked for of a build id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    Executable,
    DebugInfo,
    /// A section of either.
    Section(&'a str),
    /// A source, by the path behind `source`, which begins with a slash.
    Source(&'a str),
    /// Something else.
    Unknown,
}

/// Whether a path is one of debuginfod's, as far as can be told before anybody was let in.
pub fn is_meant(path: &str) -> bool {
    path.contains("/buildid/") || path.ends_with("/metadata")
}

/// What the path behind the base asks for, if it is one of debuginfod's.
pub fn parse(rest: &str) -> Option<Asked<'_>> {
    let (build_id, part) = rest.strip_prefix("buildid/")?.split_once('/')?;
    let part = match part {
        "executable" => Part::Executable,
        "debuginfo" => Part::DebugInfo,
        other => match (other.strip_prefix("section/"), other.strip_prefix("source")) {
            (Some(name), _) if !name.is_empty() => Part::Section(name),
            (None, Some(path)) if path.starts_with('/') => Part::Source(path),
            _ => Part::Unknown,
        },
    };
    Some(Asked { build_id: build_id.to_ascii_lowercase(), part })
}

/// The answer.
pub async fn answer(look: &Look, asked: Asked<'_>) -> ApiResult<Response> {
    let digits = asked.build_id.len();
    if digits == 0 || digits > LONGEST_ID || !asked.build_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ApiError::NotFound);
    }
    let whole = async |what| {
        let wanted = Wanted { id: WantedId::Code(asked.build_id.clone()), what, name: None };
        look.find(&wanted).await.map(Artifact::Whole)
    };
    let artifact = match asked.part {
        Part::Executable => whole(What::Executable).await?,
        Part::DebugInfo => whole(What::DebugInfo).await?,
        Part::Section(name) => artifacts::section(look, &asked.build_id, name).await?,
        Part::Source(path) => artifacts::source(look, &asked.build_id, path).await?,
        Part::Unknown => return Err(ApiError::NotFound),
    };
    let (size, name) = (artifact.size(), artifact.file_name().to_owned());
    let mut response = match is_too_large(look, size) {
        true => too_large(size),
        false => artifact.send(look).await?,
    };
    describe(&mut response, size, &name);
    Ok(response)
}

/// Says what the file is called and how large it is, in the words of debuginfod.
fn describe(response: &mut Response, size: u64, name: &str) {
    response.headers_mut().insert(SIZE, HeaderValue::from(size));
    // Names that a header cannot carry are left out; nobody depends on them.
    if let Ok(name) = HeaderValue::from_str(name) {
        response.headers_mut().insert(FILE, name);
    }
}

/// Whether the client said that it does not want as much.
fn is_too_large(look: &Look, size: u64) -> bool {
    let limit = look.headers.get(MAX_SIZE).and_then(|limit| limit.to_str().ok()?.trim().parse::<u64>().ok());
    limit.is_some_and(|limit| limit > 0 && size > limit)
}

fn too_large(size: u64) -> Response {
    let sentence = format!("The file has {size} bytes, which is more than was asked for.");
    (StatusCode::NOT_ACCEPTABLE, Json(json!({ "detail": sentence }))).into_response()
}

/// What a debuginfod client is told: the answer, unless it speaks of trouble that passes.
pub async fn told(answer: impl Future<Output = ApiResult<Response>>, hang_up: &HangUp) -> Response {
    hang_up.guard();
    let response = match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(answer) => answer.into_response(),
        Err(panic) => panic_response(panic),
    };
    let passes = response.status().is_server_error()
        || matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS);
    if passes { hang_up.now() } else { hang_up.if_it_breaks_off(response) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_is_wanted_of_a_build_id() {
        let asked = |part| Some(Asked { build_id: "ab12".to_owned(), part });
        assert_eq!(parse("buildid/AB12/debuginfo"), asked(Part::DebugInfo));
        assert_eq!(parse("buildid/ab12/executable"), asked(Part::Executable));
        assert_eq!(parse("buildid/ab12/section/.text"), asked(Part::Section(".text")));
        assert_eq!(parse("buildid/ab12/source/usr/a.c"), asked(Part::Source("/usr/a.c")));
        assert_eq!(parse("buildid/ab12/source//usr/a.c"), asked(Part::Source("//usr/a.c")));
        for unknown in ["debuginfo/", "section/", "section", "source", "sources/a.c", ""] {
            assert_eq!(parse(&format!("buildid/ab12/{unknown}")), asked(Part::Unknown), "{unknown}");
        }
        assert_eq!(parse("buildid/ab12"), None);
        assert_eq!(parse("buildids/ab12/debuginfo"), None);
    }
}
