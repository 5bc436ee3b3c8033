//! Extractors that settle who calls and what they may touch before a handler starts.
//!
//! A handler takes [`OrganizationAccess<Upload>`](OrganizationAccess) or [`ProjectAccess<Read>`](ProjectAccess) and
//! receives rows that the caller may use. Order of refusals: 401, then 403, then 404; a token never learns whether
//! something exists that is not its own.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::{ApiError, ApiResult};
use crate::accounts::{AccessClass, Caller, authenticate, find_organization, find_project};
use crate::app::App;
use crate::types::{Organization, Project, Scope};

/// A caller who may use an organization in the way `C` says. Reads `{org}` of the path: a slug or an id.
#[derive(Clone, Debug)]
pub struct OrganizationAccess<C: AccessClass> {
    /// Who calls.
    pub caller: Caller,
    /// The organization of the path, which is the caller's own.
    pub organization: Arc<Organization>,
    class: PhantomData<C>,
}

/// A caller who may use a project in the way `C` says. Reads `{org}` and `{project}` of the path: slugs or ids.
#[derive(Clone, Debug)]
pub struct ProjectAccess<C: AccessClass> {
    /// Who calls.
    pub caller: Caller,
    /// The organization of the path, which is the caller's own.
    pub organization: Arc<Organization>,
    /// The project of the path, which the caller's token reaches.
    pub project: Arc<Project>,
    class: PhantomData<C>,
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let token = presented_token(&parts.headers)?;
        Ok(authenticate(&app.db, &app.callers, &app.clock, &token).await?)
    }
}

impl<C: AccessClass> FromRequestParts<App> for OrganizationAccess<C> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        require_scope::<C>(&caller)?;
        let [org] = path_params(parts, ["org"]).await?;
        let organization = find_organization(&app.db, &app.callers, &caller, &org).await?.ok_or(ApiError::NotFound)?;
        Ok(Self { caller, organization, class: PhantomData })
    }
}

impl<C: AccessClass> FromRequestParts<App> for ProjectAccess<C> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        require_scope::<C>(&caller)?;
        let [org, project] = path_params(parts, ["org", "project"]).await?;
        let organization = find_organization(&app.db, &app.callers, &caller, &org).await?.ok_or(ApiError::NotFound)?;
        let project =
            find_project(&app.db, &app.callers, &caller, &organization, &project).await?.ok_or(ApiError::NotFound)?;
        Ok(Self { caller, organization, project, class: PhantomData })
    }
}

/// Refuses a caller none of whose scopes is enough, and says which would be.
pub(super) fn require_scope<C: AccessClass>(caller: &Caller) -> ApiResult<()> {
    if caller.scopes.has_any(C::ENOUGH) {
        return Ok(());
    }
    let enough: Vec<_> = C::ENOUGH.iter().copied().map(Scope::as_str).collect();
    let (recommended, others) = enough.split_first().expect("every class of access has a scope");
    Err(ApiError::Forbidden(format!(
        "You do not have permission to perform this action. The token lacks the scope {recommended} (or one of {}).",
        others.join(", ")
    )))
}

/// The named parameters of the path. A route that asks for one it does not have is a mistake in the route table.
pub(super) async fn path_params<const N: usize>(parts: &mut Parts, names: [&str; N]) -> ApiResult<[String; N]> {
    let params = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| ApiError::NotFound)?;
    Ok(names.map(|name| {
        let found = params.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }))
}

/// The token in the `Authorization` header: `Bearer`, or `Basic` with the token as user or password.
pub(super) fn presented_token(headers: &HeaderMap) -> ApiResult<String> {
    let refuse = |sentence: &str| ApiError::Unauthenticated(sentence.to_owned());
    let missing = || refuse("Authentication credentials were not provided.");
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let value = value
        .to_str()
        .map_err(|_| refuse("Invalid token header. Token string should not contain invalid characters."))?;
    let (scheme, credentials) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return match credentials {
            "" => Err(refuse("Invalid token header. No credentials provided.")),
            token if token.contains(' ') => {
                Err(refuse("Invalid token header. Token string should not contain spaces."))
            }
            token => Ok(token.to_owned()),
        };
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let text = STANDARD.decode(credentials).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or_else(|| refuse("Invalid basic header. Credentials not correctly base64 encoded."))?;
        let (user, password) = text.split_once(':').unwrap_or((&text, ""));
        let token = if user.is_empty() || password.starts_with("sntrys_") { password } else { user };
        return if token.is_empty() { Err(refuse("Invalid token")) } else { Ok(token.to_owned()) };
    }
    Err(missing())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_in(value: &str) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        presented_token(&headers).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_is_found_in_every_form_of_the_header() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for value in ["Bearer tok", "bearer  tok", "BEARER tok", &basic("tok:"), &basic("tok"), &basic(":tok")] {
            assert_eq!(token_in(value), Ok("tok".to_owned()), "{value}");
        }
        assert_eq!(token_in(&basic("me:sntrys_x")), Ok("sntrys_x".to_owned()));
    }

    #[test]
    fn a_header_without_a_token_is_answered_as_sentry_does() {
        for (value, sentence) in [
            ("Bearer", "Invalid token header. No credentials provided."),
            ("Bearer a b", "Invalid token header. Token string should not contain spaces."),
            ("Basic ???", "Invalid basic header. Credentials not correctly base64 encoded."),
            ("Digest x", "Authentication credentials were not provided."),
        ] {
            assert_eq!(token_in(value), Err(sentence.to_owned()), "{value}");
        }
    }
}
