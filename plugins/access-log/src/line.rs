//! What stands in a line. The names are the ledger's, where it has the same thing.

use jiff::Timestamp;
use std::cell::RefCell;
use std::net::IpAddr;
use tollgate_plugin_api::{JsonText, Summary, json_name};

/// Room for most of them.
const LINE_BYTES: usize = 1024;

/// What stands behind a name; what is not there is left out.
enum Value<'a> {
    /// One of the gateway's own words, or an id.
    Word(Option<&'a str>),
    Text(Option<&'a str>),
    Address(Option<IpAddr>),
    Count(Option<u64>),
    Number(Option<i64>),
    Flag(Option<bool>),
}

/// The line of one exchange, with its end.
pub(crate) fn line(summary: &Summary<'_>) -> JsonText {
    use Value::{Address, Count, Flag, Number, Text, Word};
    let key = summary.key.map(|key| key.key());
    let key = key.as_deref();
    let usage = &summary.metered.usage;
    let mut json = JsonText::with_capacity(LINE_BYTES);
    json.raw("{\"time\":").word(&time(summary.started_at_ms));
    let mut put = |name: &str, value: Value<'_>| match value {
        Word(Some(word)) => drop(json.raw(name).word(word)),
        Text(Some(text)) => drop(json.raw(name).text(text)),
        Address(Some(address)) => drop(json.raw(name).address(address)),
        Count(Some(count)) => drop(json.raw(name).number(count)),
        Number(Some(number)) => drop(json.raw(name).number(number)),
        Flag(Some(flag)) => drop(json.raw(name).raw(if flag { "true" } else { "false" })),
        Word(None) | Text(None) | Address(None) | Count(None) | Number(None) | Flag(None) => {}
    };
    put(json_name!("request_id"), Word(Some(summary.request_id)));
    put(json_name!("client"), Address(summary.client));
    put(json_name!("key_id"), Number(key.map(|key| key.id)));
    put(json_name!("key_name"), Text(key.map(|key| &*key.name)));
    put(json_name!("user"), Text(key.and_then(|key| key.user.as_deref())));
    put(json_name!("group"), Text(key.map(|key| &*key.group)));
    put(json_name!("method"), Text(Some(summary.method)));
    put(json_name!("path"), Text(Some(summary.path)));
    put(json_name!("status"), Count(Some(summary.status.into())));
    put(json_name!("dialect"), Word(Some(summary.dialect)));
    put(json_name!("endpoint"), Word(summary.endpoint));
    put(json_name!("model"), Text(summary.model));
    put(json_name!("stream"), Flag(summary.stream));
    put(json_name!("upstream"), Text(summary.upstream));
    put(json_name!("upstream_model"), Text(summary.upstream_model));
    put(json_name!("attempts"), Count(Some(summary.attempts.into())));
    put(json_name!("outcome"), Word(summary.outcome));
    put(json_name!("error_code"), Word(summary.error_code));
    put(json_name!("rejected_by"), Word(summary.rejected_by));
    put(json_name!("input_tokens"), Count(Some(usage.input_tokens)));
    put(json_name!("cached_input_tokens"), Count(Some(usage.cached_input_tokens)));
    put(json_name!("cache_write_tokens"), Count(Some(usage.cache_write_tokens)));
    put(json_name!("output_tokens"), Count(Some(usage.output_tokens)));
    put(json_name!("reasoning_tokens"), Count(Some(usage.reasoning_tokens)));
    put(json_name!("usage_source"), Word(Some(summary.metered.source.as_str())));
    put(json_name!("cost_nanos"), Number(Some(summary.cost_nanos)));
    put(json_name!("ttft_ms"), Count(summary.ttft_ms));
    put(json_name!("duration_ms"), Count(Some(summary.duration_ms)));
    json.raw("}\n");
    json
}

/// A line about lines that are missing, with its end.
pub(crate) fn dropped(lines: u64, now_ms: i64) -> String {
    format!("{{\"time\":\"{}\",\"event\":\"lines_dropped\",\"lines\":{lines}}}\n", time(now_ms))
}

thread_local! {
    /// A second since 1970, and how it is written. (Lines of the same second come one after the other.)
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// As RFC 3339 writes it, in UTC, with milliseconds.
fn time(unix_ms: i64) -> String {
    let (second, ms) = (unix_ms.div_euclid(1000), unix_ms.rem_euclid(1000));
    SECOND.with_borrow_mut(|(known, text)| {
        if *known != second {
            *text = Timestamp::from_second(second).map(|time| format!("{time:.0}")).unwrap_or_default();
            *known = second;
        }
        let digit = |value: i64| char::from(b'0' + (value % 10) as u8);
        let mut whole = String::with_capacity(text.len() + 4);
        whole.push_str(text.trim_end_matches('Z'));
        whole.extend(['.', digit(ms / 100), digit(ms / 10), digit(ms), 'Z']);
        whole
    })
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn time_is_utc_with_milliseconds() {
        assert_eq!(time(1_700_000_000_120), "2023-11-14T22:13:20.120Z");
        assert_eq!(time(1_700_000_000_987), "2023-11-14T22:13:20.987Z");
        assert_eq!(time(1_700_000_001_005), "2023-11-14T22:13:21.005Z");
    }
}
