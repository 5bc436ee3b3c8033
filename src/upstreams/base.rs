//! The address of an upstream: what is allowed as one, how it is shown, and where a redirect may lead. Nothing here asks
//! anything.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;

use super::address::not_public;

/// Which addresses may be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowed {
    /// Whether those of private networks may.
    pub private: bool,
    /// For tests: addresses that are taken for public.
    pub as_if_public: Vec<SocketAddr>,
}

impl Allowed {
    /// Why an address may not be asked, as the end of a sentence.
    pub fn refusal(&self, address: IpAddr, port: Option<u16>) -> Option<&'static str> {
        let exempt = || self.as_if_public.iter().any(|one| one.ip() == address && Some(one.port()) == port);
        not_public(address).filter(|_| !self.private && !exempt())
    }

    /// Refuses a URL whose host is an address that may not be asked. The addresses of a name are checked when it is
    /// looked up.
    pub fn check(&self, url: &Url) -> Result<(), String> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let refusal = host.parse().ok().and_then(|address| self.refusal(address, url.port_or_known_default()));
        refusal.map_or(Ok(()), |why| Err(not_asked(host, why)))
    }
}

/// The sentence of a refused address.
pub(super) fn not_asked(host: &str, why: &str) -> String {
    format!("the address of {host} is {why} and is not asked (setting `upstreams.allow_private`)")
}

/// Reads the base of an upstream as somebody wrote it: with a slash at its end, so that paths can be put behind it.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text.trim()).map_err(|error| format!("it is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("its scheme is `{}`; only `http` and `https` can be asked", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no host".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a `?` or `#` in it; paths are put behind it".to_owned());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// Takes user and password out of a URL.
pub(super) fn credentials(url: &mut Url) -> Option<(String, Option<String>)> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let found = (unescaped(url.username()), url.password().map(unescaped));
    let _cannot_have_any = url.set_username("").and_then(|()| url.set_password(None));
    Some(found)
}

/// Where an answer that names `location` leads. A secure connection is never left for one that is not, and no user or
/// password is taken from a redirect.
pub(super) fn redirected(from: &Url, location: &str, allowed: &Allowed) -> Result<Url, String> {
    let mut to = from.join(location).map_err(|_| "it redirects to what is no URL".to_owned())?;
    match (from.scheme(), to.scheme()) {
        ("http" | "https", "https") | ("http", "http") => {}
        ("https", "http") => return Err("it redirects from https to http".to_owned()),
        (_, other) => return Err(format!("it redirects to the scheme `{other}`")),
    }
    credentials(&mut to);
    to.set_fragment(None);
    allowed.check(&to).map_err(|reason| format!("it redirects elsewhere: {reason}"))?;
    Ok(to)
}

/// The text of a user or password, its escapes undone.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        let digits = (*first == b'%').then(|| behind.get(..2)).flatten();
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        if byte.is_some() {
            rest = &behind[2..];
        }
        bytes.push(byte.unwrap_or(*first));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_address_of_the_web_is_a_base() {
        for (text, expected) in [
            ("https://debuginfod.example/", Ok("https://debuginfod.example/")),
            (" http://me:secret@host.example:8080/symbols ", Ok("http://me:secret@host.example:8080/symbols/")),
            ("ftp://host.example/", Err("its scheme is `ftp`")),
            ("file:///etc", Err("its scheme is `file`")),
            ("host.example/x", Err("it is no URL")),
            ("https://", Err("it is no URL")),
            ("https://host.example/?x=1", Err("`?` or `#`")),
            ("https://host.example/#x", Err("`?` or `#`")),
        ] {
            match (parse(text), expected) {
                (Ok(url), Ok(expected)) => assert_eq!(url.as_str(), expected),
                (Err(said), Err(expected)) => assert!(said.contains(expected), "{text}: {said}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }

    #[test]
    fn user_and_password_are_taken_out() {
        let mut url = parse("https://me:se%3Acret@host.example/").unwrap();
        assert_eq!(credentials(&mut url), Some(("me".to_owned(), Some("se:cret".to_owned()))));
        assert_eq!(url.as_str(), "https://host.example/");
        assert_eq!(credentials(&mut url), None);
    }

    #[test]
    fn every_spelling_of_an_address_is_checked() {
        let allowed = Allowed::default();
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "0x7f000001",
            "127.1",
            "127.0.0.1.",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "169.254.169.254",
            "0",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
        ] {
            let url = parse(&format!("http://{host}/")).unwrap();
            assert!(allowed.check(&url).is_err(), "{host} is {url}");
        }
        assert_eq!(allowed.check(&parse("http://8.8.8.8/").unwrap()), Ok(()));
        assert_eq!(allowed.check(&parse("http://name.example/").unwrap()), Ok(()), "a name is checked later");
        let private = Allowed { private: true, ..Allowed::default() };
        assert_eq!(private.check(&parse("http://127.0.0.1/").unwrap()), Ok(()));
    }

    #[test]
    fn a_redirect_leads_to_the_web_alone_and_never_from_https_to_http() {
        let allowed = Allowed::default();
        let lead = |from: &str, to: &str| redirected(&Url::parse(from).unwrap(), to, &allowed).map(String::from);
        assert_eq!(lead("http://a.example/x/y", "../z?q=1#f"), Ok("http://a.example/z?q=1".to_owned()));
        assert_eq!(lead("http://a.example/", "https://b.example/z"), Ok("https://b.example/z".to_owned()));
        assert_eq!(lead("http://a.example/", "//me:secret@b.example/"), Ok("http://b.example/".to_owned()));
        assert_eq!(lead("https://a.example/", "http://a.example/"), Err("it redirects from https to http".to_owned()));
        for elsewhere in ["file:///etc/passwd", "ftp://a.example/", "http://127.0.0.1/", "http://[::1]:22/", "http://"]
        {
            assert!(lead("http://a.example/", elsewhere).is_err(), "{elsewhere}");
        }
    }
}
