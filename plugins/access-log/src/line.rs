//! What stands in a line. The names are the ledger's, where it has the same thing.

use jiff::Timestamp;
use std::cell::RefCell;
use tollgate_plugin_api::{JsonText, Summary, json_name};

/// Appends the line of one exchange, with its end.
pub(crate) fn write(line: &mut Vec<u8>, summary: &Summary<'_>) {
    fields(&mut JsonText::behind(line), summary);
}

fn fields(json: &mut JsonText<'_>, summary: &Summary<'_>) {
    /// What is not there is left out. One by one, and not from a table: a name that is known when this is compiled is written
    /// in two or three steps.
    macro_rules! put {
        ($write:ident, $name:literal, $value:expr) => {
            if let Some(value) = $value {
                json.raw(json_name!($name)).$write(value);
            }
        };
    }
    let key = summary.key;
    let usage = &summary.metered.usage;
    json.raw("{\"time\":\"");
    with_time(summary.started_at_ms, |part| {
        json.raw(part);
    });
    json.raw("\"");
    put!(word, "request_id", Some(summary.request_id));
    put!(word, "client", summary.client);
    put!(number, "key_id", key.map(|key| key.id));
    put!(text, "key_name", key.map(|key| &*key.name));
    put!(text, "user", key.and_then(|key| key.user.as_deref()));
    put!(text, "group", key.map(|key| &*key.group));
    put!(text, "method", Some(summary.method));
    put!(text, "path", Some(summary.path));
    put!(number, "status", Some(summary.status));
    put!(word, "dialect", Some(summary.dialect));
    put!(word, "endpoint", summary.endpoint);
    put!(text, "model", summary.model);
    put!(flag, "stream", summary.stream);
    put!(text, "upstream", summary.upstream);
    put!(text, "upstream_model", summary.upstream_model);
    put!(number, "attempts", Some(summary.attempts));
    put!(word, "outcome", summary.outcome);
    put!(word, "error_code", summary.error_code);
    put!(word, "rejected_by", summary.rejected_by);
    put!(number, "input_tokens", Some(usage.input_tokens));
    put!(number, "cached_input_tokens", Some(usage.cached_input_tokens));
    put!(number, "cache_write_tokens", Some(usage.cache_write_tokens));
    put!(number, "output_tokens", Some(usage.output_tokens));
    put!(number, "reasoning_tokens", Some(usage.reasoning_tokens));
    put!(word, "usage_source", Some(summary.metered.source.as_str()));
    put!(number, "cost_nanos", Some(summary.cost_nanos));
    put!(number, "ttft_ms", summary.ttft_ms);
    put!(number, "duration_ms", Some(summary.duration_ms));
    json.raw("}\n");
}

/// A line about lines that are missing, with its end.
pub(crate) fn dropped(lines: u64, now_ms: i64) -> String {
    let mut time = String::new();
    with_time(now_ms, |part| time.push_str(part));
    format!("{{\"time\":\"{time}\",\"event\":\"lines_dropped\",\"lines\":{lines}}}\n")
}

thread_local! {
    /// A second since 1970, and how it is written, up to its fraction. (Lines of the same second come one after the other.)
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// As RFC 3339 writes it, in UTC, with milliseconds; in its parts.
fn with_time(unix_ms: i64, mut put: impl FnMut(&str)) {
    let (second, ms) = (unix_ms.div_euclid(1000), unix_ms.rem_euclid(1000));
    SECOND.with_borrow_mut(|(known, text)| {
        if *known != second {
            *text = Timestamp::from_second(second).map(|time| format!("{time:.0}")).unwrap_or_default();
            text.truncate(text.trim_end_matches('Z').len());
            text.push('.');
            *known = second;
        }
        put(text);
    });
    // Three digits.
    put(&itoa::Buffer::new().format(1000 + ms)[1..]);
    put("Z");
}

#[cfg(test)]
mod tests {
    use super::with_time;

    #[test]
    fn time_is_utc_with_milliseconds() {
        let time = |unix_ms| {
            let mut time = String::new();
            with_time(unix_ms, |part| time.push_str(part));
            time
        };
        assert_eq!(time(1_700_000_000_120), "2023-11-14T22:13:20.120Z");
        assert_eq!(time(1_700_000_000_987), "2023-11-14T22:13:20.987Z");
        assert_eq!(time(1_700_000_001_005), "2023-11-14T22:13:21.005Z");
    }
}
