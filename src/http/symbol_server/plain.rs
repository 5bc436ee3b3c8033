//! The layouts whose paths name one file each: SymStore and SSQP, Breakpad, unified, the folders of debuggers. What is
//! of no layout is never looked for, so that clients that try every name are told at once.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::Look;
use super::layouts::{self, breakpad, breakpad::ByCodeId, ssqp};
use crate::debug_files::{Wanted, WantedId, What, wanted_files};
use crate::http::error::{ApiError, ApiResult};
use crate::types::{DebugFile, Format};

/// The file by which the tools of SymStore know a store.
pub const PING_ME: &str = "pingme.txt";

/// What the path behind the base asks for.
pub async fn answer(look: &Look) -> ApiResult<Response> {
    let path = look.access.rest.as_str();
    if path.eq_ignore_ascii_case(PING_ME) {
        return Ok(look.kept("This is a symbol store.\n".into_response()));
    }
    let wanted = Asked::of(look, path);
    if let Some(asked) = &wanted
        && let Some(response) = asked.here(look).await?
    {
        return Ok(response);
    }
    if let Some(asked) = breakpad::by_code_id(path)
        && let Some(location) = location(look, &asked).await?
    {
        let mut response = StatusCode::FOUND.into_response();
        response.headers_mut().insert(header::LOCATION, HeaderValue::try_from(location).map_err(ApiError::internal)?);
        return Ok(look.kept(response));
    }
    if let Some(asked) = wanted {
        if look.brought(&asked.wanted).await?
            && let Some(response) = asked.here(look).await?
        {
            return Ok(response);
        }
        look.missed(&asked.wanted);
    }
    Err(ApiError::NotFound)
}

/// A file that a path asks for, and whether it is to be in a cabinet.
struct Asked {
    wanted: Wanted,
    packed: bool,
}

impl Asked {
    fn of(look: &Look, path: &str) -> Option<Self> {
        if let Some(wanted) = layouts::parse(path) {
            return Some(Self { wanted, packed: false });
        }
        let wanted = look.app.config.symbols.cab.then(|| ssqp::compressed(path))??;
        Some(Self { wanted, packed: true })
    }

    /// The answer, if the file is here or can be made of what is here.
    async fn here(&self, look: &Look) -> ApiResult<Option<Response>> {
        let (wanted, symcaches) = (&self.wanted, &look.app.symcaches);
        let mut files = candidates(look, wanted).await?;
        if wanted.what.pick(&files).is_none() {
            files.extend(portable_pdbs(look, wanted).await?);
        }
        let making = match wanted.what.pick(&files) {
            Some(file) if self.packed => Some(symcaches.cabinet(file).await?),
            Some(file) => return look.send(file.clone()).await.map(Some),
            None if wanted.what == What::Breakpad => symcaches.breakpad(&files).await?,
            None => None,
        };
        match making {
            Some(making) => look.send_made(making).await.map(Some),
            None => Ok(None),
        }
    }
}

/// The files of the id, the best first. Code ids of PE files are made of a time and a size, so that many may share one:
/// the name decides then.
async fn candidates(look: &Look, wanted: &Wanted) -> ApiResult<Vec<DebugFile>> {
    let mut files = look.app.shelf.files(&look.access.project_ids, &wanted.id).await?.to_vec();
    if let Some(name) = &wanted.name {
        files.sort_by_key(|file| !file.object_name.eq_ignore_ascii_case(name));
    }
    Ok(files)
}

/// The portable PDBs with the UUID of a request. Where a native PDB has an age they have a time stamp, and clients send
/// either, `ffffffff`, or a fixed number.
async fn portable_pdbs(look: &Look, wanted: &Wanted) -> ApiResult<Vec<DebugFile>> {
    let uuid = match (&wanted.id, wanted.what) {
        (WantedId::Debug(id), What::Pdb) => Some(id),
        (WantedId::AnyOf { debug_ids, .. }, What::DebugInfo) => debug_ids.first(),
        _ => None,
    };
    let Some(uuid) = uuid else { return Ok(Vec::new()) };
    let id = WantedId::AnyAge(uuid.clone());
    let files = look.app.shelf.files(&look.access.project_ids, &id).await?;
    Ok(files.iter().filter(|file| file.format == Format::PortablePdb).cloned().collect())
}

/// Where the symbols of a file are that is known by its code id.
async fn location(look: &Look, asked: &ByCodeId) -> ApiResult<Option<String>> {
    let (db, project_ids) = (&look.app.db, look.access.project_ids.as_slice());
    let files = wanted_files(db, project_ids, &WantedId::Code(asked.code_id.clone())).await?;
    let named = files.iter().find(|file| is_of(file, &asked.code_file));
    let Some(file) = named.or(files.first()) else { return Ok(None) };
    let of_one_id = wanted_files(db, project_ids, &WantedId::Debug(file.debug_id.clone())).await?;
    let pdb = of_one_id.iter().find(|file| file.format == Format::Pdb).map(|pdb| pdb.object_name.clone());
    let debug_file = pdb.unwrap_or_else(|| breakpad::debug_file(&asked.code_file));
    Ok(Some(breakpad::location(&debug_file, &file.debug_id.breakpad())))
}

/// Whether a file is the one that is called `code_file`, or its symbols.
fn is_of(file: &DebugFile, code_file: &str) -> bool {
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_ascii_lowercase();
    let symbols = file.format == Format::Breakpad;
    file.object_name.eq_ignore_ascii_case(code_file)
        || symbols && [code_file.to_ascii_lowercase(), stem(code_file)].contains(&stem(&file.object_name))
}
