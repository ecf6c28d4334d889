//! Where an upstream is, and what is spoken there.

use super::reader::Section;
use super::shape::HttpVersion;
use crate::provider::Provider;
use http::Uri;

/// The file's, else the provider's own.
pub(super) fn base_url(section: &Section<'_>, provider: Option<&Provider>) -> Option<Uri> {
    if section.get("base_url").is_some() {
        return parse_base_url(&section.text("base_url")?)
            .map(|url| with_sdk_path(url, provider))
            .map_err(|message| {
                let expected = "expected a URL such as `https://api.example.com/v1`";
                section.wrong("base_url", format!("{message}, {expected}"));
            })
            .ok();
    }
    let provider = provider?;
    match &provider.base_url {
        Some(url) => parse_base_url(url)
            .map_err(|message| section.wrong("base_url", format!("{}'s own is wrong: {message}", provider.name)))
            .ok(),
        None => {
            let because = format!("a URL: `{}` has none of its own", provider.name);
            section.missing("base_url", &because);
            None
        }
    }
}

/// A host alone is what some vendors' own SDKs are given: they know the path.
fn with_sdk_path(url: Uri, provider: Option<&Provider>) -> Uri {
    match provider.and_then(|provider| provider.sdk_path.as_deref()) {
        // What was a URL without a path is one with this.
        Some(path) if url.path() == "/" => {
            format!("{}{path}", url.to_string().trim_end_matches('/')).parse().unwrap_or(url)
        }
        _ => url,
    }
}

/// Reads a base URL: http or https, with a host, without user, query, fragment and slash at the end.
pub(super) fn parse_base_url(text: &str) -> Result<Uri, String> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => {}
        Some(_) => return Err("the scheme is neither http nor https".into()),
        None => return Err("the scheme is missing (`https://`)".into()),
    }
    if text.contains('#') {
        return Err("a base URL has no fragment (`#`)".into());
    }
    if text.contains('?') {
        return Err("a base URL has no query (`?`)".into());
    }
    let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| "not a URL".to_string())?;
    let authority = uri.authority().ok_or("the host is missing")?;
    if authority.as_str().contains('@') {
        return Err("a base URL has no user or password (`@`)".into());
    }
    let host = authority.host();
    if host.is_empty() || host.starts_with('.') || host.contains("..") {
        return Err("the host is missing or wrong".into());
    }
    let port = authority.as_str()[host.len()..].strip_prefix(':');
    if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Err("the port is not a number from 1 to 65535".into());
    }
    Ok(uri)
}

/// What is spoken at this URL. HTTP/2 without TLS would have to be known of the provider, and none of them speaks it.
pub(super) fn http_version(section: &Section<'_>, base_url: Option<&Uri>) -> HttpVersion {
    let chosen = section.choice("http_version", HttpVersion::WORDS, HttpVersion::default());
    if chosen == HttpVersion::Http2 && base_url.is_some_and(|url| url.scheme_str() == Some("http")) {
        section.wrong("http_version", "HTTP/2 is spoken over TLS alone, expected `\"1.1\"` or a base URL with https");
    }
    chosen
}
