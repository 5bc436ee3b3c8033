//! Passing a file on as it stands at rest: one zstd frame behind the other, which nobody has to unpack here. It is for who
//! says that it takes zstd and wants the whole file. It never packs anything itself.

use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;

use super::content::Content;
use super::error::ApiResult;
use crate::debug_files::OpenFile;

/// The answer with a file, packed if it is stored so and the asker takes it so.
pub async fn answer(file: OpenFile, method: &Method, headers: &HeaderMap) -> ApiResult<Response> {
    let plain = Content::asked(method, headers, file.file.sha1, file.file.size);
    let packed = file.zstd_size().filter(|_| plain.is_whole() && takes_zstd(headers));
    let mut response = match packed {
        Some(size) => packed_answer(file, method, headers, size).await?,
        None => plain.stream(|range| file.read(range)).await?,
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    Ok(response)
}

/// Other bytes than those of the content, so their name is another one too, and ranges of the content mean nothing.
async fn packed_answer(file: OpenFile, method: &Method, headers: &HeaderMap, size: u64) -> ApiResult<Response> {
    let mut headers = headers.clone();
    headers.remove(header::RANGE);
    let content = Content::tagged(method, &headers, format!("\"{}-zstd\"", file.file.sha1), size);
    let mut response = content.stream(|_| file.read_at_rest()).await?;
    response.headers_mut().remove(header::ACCEPT_RANGES);
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    Ok(response)
}

/// Whether zstd is named among the encodings that the asker takes, and not refused.
fn takes_zstd(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|entry| {
        let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.trim().parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("zstd") && weight.is_some_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zstd_is_taken_by_who_names_it() {
        for (list, taken) in [
            ("zstd", true),
            ("br, deflate, gzip, zstd", true),
            ("gzip,ZSTD;q=0.5", true),
            ("zstd; q=1", true),
            ("zstd;q=0", false),
            ("zstd;q=0.000", false),
            ("zstd;q=x", false),
            ("gzip", false),
            ("identity", false),
            ("*", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, list.parse().unwrap());
            assert_eq!(takes_zstd(&headers), taken, "{list}");
        }
        assert!(!takes_zstd(&HeaderMap::new()));
    }
}
