//! Pages of a list as Sentry's clients turn them: `cursor` in the query, `Link` in the answer. There is no total.

use axum::http::{HeaderValue, Uri};

use super::error::{ApiError, ApiResult};
use super::extract::QueryPairs;

/// Entries on a page if nobody says otherwise.
const ORDINARY: i64 = 20;
/// Most entries on a page.
const MOST: i64 = 100;

/// Which page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries on a page.
    pub size: i64,
    /// The page, from 0.
    pub number: i64,
}

impl Page {
    /// The page that the query asks for.
    pub fn asked(query: &QueryPairs) -> ApiResult<Self> {
        Self::asked_of(query, ORDINARY)
    }

    /// The page that the query asks for, with so many entries if nobody says otherwise.
    pub fn asked_of(query: &QueryPairs, ordinary: i64) -> ApiResult<Self> {
        let size = query.first("per_page").map(per_page).transpose()?;
        match query.first("cursor").filter(|cursor| !cursor.is_empty()) {
            None => Ok(Self { size: size.unwrap_or(ordinary), number: 0 }),
            Some(cursor) => {
                Self::at(cursor, size).ok_or_else(|| ApiError::BadRequest("Invalid cursor parameter.".to_owned()))
            }
        }
    }

    /// The page of a cursor `size:page:is_previous`. A page size in the query counts for more than that of the cursor.
    fn at(cursor: &str, size: Option<i64>) -> Option<Self> {
        let mut parts = cursor.split(':').map(|part| part.parse::<i64>().ok());
        let (Some(own), Some(number), Some(_), None) = (parts.next()?, parts.next()?, parts.next()?, parts.next())
        else {
            return None;
        };
        Some(Self { size: size.unwrap_or(own.clamp(1, MOST)), number: number.max(0) })
    }

    /// Entries before this page.
    pub fn offset(self) -> i64 {
        self.number.saturating_mul(self.size)
    }

    /// The `Link` of an answer to a request for `uri`; `more` says whether entries follow. Both relations are always
    /// there; clients read `results` and `cursor` and ignore the address.
    pub fn link(self, public_url: &str, uri: &Uri, more: bool) -> HeaderValue {
        let query: Vec<_> = uri.query().unwrap_or_default().split('&').collect();
        let query =
            query.into_iter().filter(|pair| !pair.is_empty() && !pair.starts_with("cursor=")).collect::<Vec<_>>();
        let (query, and) = (query.join("&"), if query.is_empty() { "" } else { "&" });
        let relation = |name: &str, step: i64, previous: u8, results: bool| {
            let cursor = format!("{}:{}:{previous}", self.size, self.number.saturating_add(step));
            let url = format!("{public_url}{}?{query}{and}cursor={cursor}", uri.path());
            format!("<{url}>; rel=\"{name}\"; results=\"{results}\"; cursor=\"{cursor}\"")
        };
        let link = [relation("previous", -1, 1, self.number > 0), relation("next", 1, 0, more)].join(", ");
        HeaderValue::try_from(link).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

fn per_page(text: &str) -> ApiResult<i64> {
    let refuse = |sentence: &str| Err(ApiError::BadRequest(sentence.to_owned()));
    match text.parse::<i64>() {
        Err(_) => refuse("Invalid per_page parameter."),
        Ok(size) if size > MOST => refuse("Invalid per_page value. Cannot exceed 100."),
        Ok(size) if size < 1 => refuse("Invalid per_page value. Must be at least 1."),
        Ok(size) => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_three_numbers() {
        assert_eq!(Page::at("20:2:0", Some(5)), Some(Page { size: 5, number: 2 }));
        assert_eq!(Page::at("20:-1:1", None), Some(Page { size: 20, number: 0 }));
        for bad in ["x", "1:2", "1:2:3:4", "a:b:c", "::"] {
            assert_eq!(Page::at(bad, None), None, "{bad}");
        }
    }

    #[test]
    fn a_link_has_both_relations_and_keeps_the_query() {
        let uri = "/files/?query=a%20b&cursor=20:1:0".parse().unwrap();
        assert_eq!(
            Page { size: 20, number: 1 }.link("http://depot", &uri, false).to_str().unwrap(),
            "<http://depot/files/?query=a%20b&cursor=20:0:1>; rel=\"previous\"; results=\"true\"; cursor=\"20:0:1\", \
             <http://depot/files/?query=a%20b&cursor=20:2:0>; rel=\"next\"; results=\"false\"; cursor=\"20:2:0\""
        );
    }
}
