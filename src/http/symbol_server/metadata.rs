//! debuginfod's `metadata`: which files there are of a build, or under a name. It lists what the asker may read and
//! nothing about it that a debugger has no use for.

use std::collections::HashSet;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::Look;
use crate::debug_files::{MAX_PATTERN, WantedId, What, glob_matches, wanted_files};
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::QueryPairs;
use crate::types::{CodeId, DebugFile};

/// The path behind the base.
pub const PATH: &str = "metadata";

/// Most files that are looked at for one answer.
const MOST_FILES: i64 = 1000;

/// `metadata?key=buildid|file|glob&value=…`. A name is that of the file alone: uploads come without their folders, so
/// folders in the wish are not compared.
pub async fn answer(look: &Look, query: &QueryPairs) -> ApiResult<Response> {
    let refuse = || ApiError::BadRequest("Ask with `key=buildid`, `key=file` or `key=glob`, and a `value`.".to_owned());
    let (key, value) = query.first("key").zip(query.first("value")).ok_or_else(refuse)?;
    let (db, project_ids) = (&look.app.db, &look.access.project_ids);
    let name = value.rsplit('/').next().unwrap_or(value);
    let by_name = async |glob: bool| db.debug_files_by_name(project_ids, name, glob, MOST_FILES + 1).await;
    let (files, complete) = match key {
        "buildid" => {
            let id = WantedId::Code(CodeId::new(value).as_str().to_owned());
            (wanted_files(db, project_ids, &id).await?, true)
        }
        "file" => at_most(by_name(false).await?),
        "glob" => {
            if name.chars().count() > MAX_PATTERN {
                return Err(ApiError::BadRequest(format!("The pattern is longer than {MAX_PATTERN} characters.")));
            }
            let (mut files, complete) = at_most(by_name(true).await?);
            let pattern = name.to_owned();
            // A thousand names and a bad pattern keep a thread busy for milliseconds.
            let filter = move || {
                files.retain(|file| glob_matches(&pattern, &file.object_name));
                files
            };
            (tokio::task::spawn_blocking(filter).await.map_err(ApiError::internal)?, complete)
        }
        _ => return Err(refuse()),
    };
    let mut seen = HashSet::new();
    let results: Vec<_> = files.iter().flat_map(lines).filter(|line| seen.insert(line.to_string())).collect();
    Ok(look.kept(Json(json!({ "results": results, "complete": complete })).into_response()))
}

/// The files that are shown, and whether these are all.
fn at_most(mut files: Vec<DebugFile>) -> (Vec<DebugFile>, bool) {
    let complete = files.len() as i64 <= MOST_FILES;
    files.truncate(usize::try_from(MOST_FILES).unwrap_or_default());
    (files, complete)
}

/// What a file is for a debugger: nothing, one thing or both.
fn lines(file: &DebugFile) -> Vec<Value> {
    let Some(build_id) = &file.code_id else { return Vec::new() };
    let sorts = [(What::Executable, "executable"), (What::DebugInfo, "debuginfo")];
    let fitting = sorts.into_iter().filter(|(what, _)| what.pick(std::slice::from_ref(file)).is_some());
    fitting.map(|(_, sort)| json!({ "type": sort, "buildid": build_id, "file": file.object_name })).collect()
}
