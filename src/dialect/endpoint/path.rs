//! Paths and queries: decoded once, strictly, so that what is authorised is what is routed.

use super::super::shape::DialectId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;
use tollgate_plugin_api::{Reject, RejectCode};

/// The most segments a prefix may have (`/api/v1/v1`, `/v1beta/openai/v1` …).
const PREFIX_SEGMENTS_MAX: usize = 6;
/// The most bytes of a path; model names are the longest part of one.
const PATH_BYTES_MAX: usize = 2048;

const ANY: &[DialectId] = &DialectId::ALL;
const OPENAI: &[DialectId] = &[DialectId::OpenAi, DialectId::OpenAiResponses];
const ANTHROPIC: &[DialectId] = &[DialectId::Anthropic];
const GEMINI: &[DialectId] = &[DialectId::Gemini];

/// A segment that may stand before an operation's path.
struct Prefix {
    segment: &'static str,
    /// The version that it is.
    version: Option<&'static str>,
    /// The dialects that it leaves; empty: it says nothing about them.
    dialects: &'static [DialectId],
}

/// A vendor's name tells more than a version: `/v1beta/openai` is Gemini's endpoint for OpenAI's dialect.
#[rustfmt::skip]
static PREFIXES: &[Prefix] = &[
    Prefix { segment: "api", version: None, dialects: &[] },
    Prefix { segment: "v1", version: Some("/v1"), dialects: &[] },
    Prefix { segment: "v1beta", version: Some("/v1beta"), dialects: GEMINI },
    Prefix { segment: "v1alpha", version: Some("/v1alpha"), dialects: GEMINI },
    Prefix { segment: "openai", version: None, dialects: OPENAI },
    Prefix { segment: "anthropic", version: None, dialects: ANTHROPIC },
    Prefix { segment: "gemini", version: None, dialects: GEMINI },
];

/// Behind OpenAI's segment, what comes before the name of a model in the paths of Azure's older API, whose own SDK writes them:
/// `/openai/deployments/NAME/chat/completions?api-version=2024-10-21`.
const DEPLOYMENTS: &str = "deployments";
/// The parameter that has that API's version, a date.
const AZURE_VERSION: &str = "api-version=";

/// Parameters that carry a credential, in lower case and without the `$` that Google allows before system parameters.
const CREDENTIALS: [&str; 10] = [
    "key",
    "api_key",
    "apikey",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "access_token",
    "oauth_token",
    "authorization",
    "auth_token",
];
/// Google's system parameters that take the usage out of an answer or wrap it in something else.
const HIDES_USAGE: [&str; 2] = ["fields", "callback"];

/// A path without its prefix.
pub(super) struct Decoded {
    /// The last version of the prefix.
    pub(super) version: Option<&'static str>,
    /// The dialects that the prefix leaves; at least one.
    pub(super) dialects: &'static [DialectId],
    /// What follows the prefix: decoded segments, joined by `/`.
    pub(super) rest: String,
    /// What follows begins with the name of a model.
    pub(super) in_deployment: bool,
}

impl Decoded {
    /// What follows the prefix, encoded again.
    pub(super) fn encoded_rest(&self) -> String {
        let mut encoded = String::with_capacity(self.rest.len());
        for (index, segment) in self.rest.split('/').enumerate() {
            if index > 0 {
                encoded.push('/');
            }
            encode_segment(segment, &mut encoded);
        }
        encoded
    }
}

fn invalid(message: &str) -> Reject {
    Reject::new(RejectCode::InvalidRequest).message(message)
}

/// Decodes a path and takes its prefix off.
pub(super) fn decode(path: &str) -> Result<Decoded, Reject> {
    if path.len() > PATH_BYTES_MAX {
        return Err(invalid("The path is too long"));
    }
    let plain = percent_decode(path).ok_or_else(|| invalid("The path has a broken percent escape"))?;
    if plain.chars().any(|c| c.is_control() || c == '\\') {
        return Err(invalid("The path has a control character or a backslash"));
    }
    let mut segments = plain.split('/').filter(|segment| !segment.is_empty()).peekable();
    let mut version = None;
    let mut by_version: &'static [DialectId] = &[];
    let mut by_vendor: &'static [DialectId] = &[];
    for _ in 0..PREFIX_SEGMENTS_MAX {
        let Some(prefix) =
            segments.peek().and_then(|segment| PREFIXES.iter().find(|prefix| prefix.segment == *segment))
        else {
            break;
        };
        match prefix.version {
            Some(_) => (version, by_version) = (prefix.version, prefix.dialects),
            None if !prefix.dialects.is_empty() => by_vendor = prefix.dialects,
            None => {}
        }
        segments.next();
    }
    let in_deployment = by_vendor == OPENAI && segments.next_if_eq(&DEPLOYMENTS).is_some();
    let rest = segments.collect::<Vec<_>>().join("/");
    if plain.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(invalid("The path has a dot segment"));
    }
    let dialects = [by_vendor, by_version].into_iter().find(|dialects| !dialects.is_empty()).unwrap_or(ANY);
    Ok(Decoded { version, dialects, rest, in_deployment })
}

/// Decodes percent escapes, once. `None`: a broken escape, or bytes that are not UTF-8.
fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    let is_whole = |escape: &str| escape.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    // The decoder would leave a broken one as it is.
    let are_whole = text.split('%').skip(1).all(is_whole);
    are_whole.then(|| percent_decode_str(text).decode_utf8().ok())?
}

/// What does not stand in a segment as it is: all but RFC 3986's `unreserved`, `:` and `@`.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'@');

/// Writes a segment with everything escaped that is not plainly allowed in one.
pub(super) fn encode_segment(segment: &str, out: &mut String) {
    out.extend(utf8_percent_encode(segment, ESCAPED));
}

/// What of a query may go upstream, as it was written: everything but credentials.
///
/// # Errors
/// `INVALID_REQUEST`: with a POST, a parameter that hides the usage; a byte that no query may have.
pub(super) fn query_for_upstream(query: Option<&str>, post: bool) -> Result<Option<String>, Reject> {
    let Some(query) = query else { return Ok(None) };
    if query.bytes().any(|byte| !(b'!'..=b'~').contains(&byte) || byte == b'#') {
        return Err(invalid("The query has a character that must be escaped"));
    }
    let mut kept: Vec<String> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        // Some servers take a semicolon for what separates parameters, too.
        let mut parts = Vec::new();
        for part in pair.split(';') {
            if !CREDENTIALS.contains(&parameter_name(part)?.as_str()) {
                parts.push(part);
            }
        }
        if parts.is_empty() {
            continue;
        }
        let pair = parts.join(";");
        let (_, value) = pair.split_once('=').unwrap_or((&pair, ""));
        let name = parameter_name(&pair)?;
        let name = name.as_str();
        let hides = HIDES_USAGE.contains(&name) || (name == "alt" && !is_known_alt(value));
        if post && hides {
            return Err(invalid(
                "This query parameter is not supported: it changes the answer so that its usage cannot be read",
            )
            .param(name));
        }
        kept.push(pair);
    }
    Ok((!kept.is_empty()).then(|| kept.join("&")))
}

/// Whether a parameter may go to a base URL with this path. Azure's version is its older APIs', which want it; the newer one refuses it
/// (400, "api-version query parameter is not allowed when using /v1 path").
pub(super) fn is_for_upstream(pair: &str, base: &str) -> bool {
    let is_dated =
        pair.strip_prefix(AZURE_VERSION).is_some_and(|value| value.starts_with(|c: char| c.is_ascii_digit()));
    !is_dated || !base.split('/').any(|segment| segment == "v1")
}

/// The name of a parameter, in lower case and without Google's `$`.
fn parameter_name(pair: &str) -> Result<String, Reject> {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    let name = percent_decode(name).ok_or_else(|| invalid("The query has a broken percent escape"))?;
    Ok(name.to_ascii_lowercase().trim().trim_start_matches('$').to_owned())
}

/// Google's `alt`: `sse`, `json`, or `json;enum-encoding=int`; not `proto` or `media`.
fn is_known_alt(value: &str) -> bool {
    percent_decode(value).is_some_and(|value| matches!(value.split(';').next(), Some("sse" | "json" | "")))
}
