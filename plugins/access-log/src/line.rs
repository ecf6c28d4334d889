//! What stands in a line. The names are the ledger's, where it has the same thing.

use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use tollgate_plugin_api::Summary;

/// What a client chose is cut off here, in characters.
const CLIENT_CHARS_MAX: usize = 512;
/// How provider keys and ours begin; what so begins and goes on for a while is masked wherever a client may have put it.
const SECRET_PREFIX: &str = "sk-";
const SECRET_CHARS_MIN: usize = 12;

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_name: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Arc<str>>,
    method: Cow<'a, str>,
    path: Cow<'a, str>,
    status: u16,
    dialect: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_model: Option<&'a str>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_by: Option<&'a str>,
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    usage_source: &'a str,
    cost_nanos: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft_ms: Option<u64>,
    duration_ms: u64,
}

/// The line of one exchange, with its end.
pub(crate) fn line(summary: &Summary<'_>) -> String {
    let key = summary.key.map(|key| key.key());
    let usage = &summary.metered.usage;
    let line = Line {
        time: time(summary.started_at_ms),
        request_id: summary.request_id,
        client: summary.client,
        key_id: key.as_ref().map(|key| key.id),
        key_name: key.as_ref().map(|key| key.name.clone()),
        user: key.as_ref().and_then(|key| key.user.clone()),
        group: key.as_ref().map(|key| key.group.clone()),
        method: harmless(summary.method.as_str()),
        path: harmless(summary.path),
        status: summary.status,
        dialect: summary.dialect,
        endpoint: summary.endpoint,
        model: summary.model.map(harmless),
        stream: summary.stream,
        upstream: summary.upstream,
        upstream_model: summary.upstream_model,
        attempts: summary.attempts,
        outcome: summary.outcome,
        error_code: summary.error_code,
        rejected_by: summary.rejected_by,
        input_tokens: usage.input_tokens,
        cached_input_tokens: usage.cached_input_tokens,
        cache_write_tokens: usage.cache_write_tokens,
        output_tokens: usage.output_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        usage_source: summary.metered.source.as_str(),
        cost_nanos: summary.cost_nanos,
        ttft_ms: summary.ttft_ms,
        duration_ms: summary.duration_ms,
    };
    // Nothing in it can fail: names are constants, and keys are strings.
    let mut text = serde_json::to_string(&line).unwrap_or_default();
    text.push('\n');
    text
}

/// A line about lines that are missing, with its end.
pub(crate) fn dropped(lines: u64, now_ms: i64) -> String {
    format!("{{\"time\":\"{}\",\"event\":\"lines_dropped\",\"lines\":{lines}}}\n", time(now_ms))
}

fn time(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// What a client chose, short, and without anything that looks like a credential.
fn harmless(text: &str) -> Cow<'_, str> {
    let short = text.char_indices().nth(CLIENT_CHARS_MAX).map_or(text, |(end, _)| &text[..end]);
    if !short.contains(SECRET_PREFIX) {
        return Cow::Borrowed(short);
    }
    let mut out = String::with_capacity(short.len());
    let mut rest = short;
    while let Some(at) = rest.find(SECRET_PREFIX) {
        let (before, found) = rest.split_at(at);
        let tail = found.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let found = &found[..found.len() - tail.len()];
        out.push_str(before);
        let is_secret = found.len() >= SECRET_PREFIX.len() + SECRET_CHARS_MIN;
        out.push_str(if is_secret { "sk-***" } else { found });
        rest = tail;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::{CLIENT_CHARS_MAX, harmless, time};

    #[test]
    fn what_looks_like_a_credential_is_masked() {
        for (text, shown) in [
            ("/v1/models", "/v1/models"),
            ("/sk-tg-0123456789abcdef/v1", "/sk-***/v1"),
            ("/sk-ant-api03-0123456789/sk-proj-0123456789ab?", "/sk-***/sk-***?"),
            ("task-force", "task-force"),
            ("é/sk-short/é", "é/sk-short/é"),
        ] {
            assert_eq!(harmless(text), shown);
        }
        assert_eq!(harmless(&"é".repeat(5000)).chars().count(), CLIENT_CHARS_MAX);
    }

    #[test]
    fn time_is_utc_with_milliseconds() {
        assert_eq!(time(1_700_000_000_120), "2023-11-14T22:13:20.120Z");
    }
}
