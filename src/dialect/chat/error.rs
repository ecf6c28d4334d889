//! Errors of providers, from any dialect into any: an HTTP answer's body, or an event in mid-stream.

use crate::dialect::DialectId;
use crate::dialect::failed;
use serde_json::Value;
use std::borrow::Cow;

/// A body that is no known error object is told up to here.
const SHOWN_CHARS_MAX: usize = 500;
/// What is said of an answer that failed without a word of why.
const UNFINISHED: &str = "The provider failed to finish its answer";
/// What is said of one that is no text.
const NO_TEXT: &str = "what the provider says is no text";
/// Google's detail that says when to come again (google/rpc/error_details.proto).
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
/// Nobody is sent away for longer on a provider's word, in seconds.
const RETRY_AFTER_S_MAX: u64 = 24 * 3600;

/// What a provider says is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The HTTP status; of an error in mid-stream the one that its kind would have had.
    pub status: u16,
    /// Its words.
    pub message: Cow<'a, str>,
    /// Its code, where it has one beside its kind: `context_length_exceeded`.
    pub code: Option<Cow<'a, str>>,
    /// The field that is wrong, where it says.
    pub param: Option<Cow<'a, str>>,
    /// In how many seconds to come again, where it says.
    pub retry_after_s: Option<u64>,
}

/// One kind of error, by status: OpenAI's `type`, Anthropic's `type`, Google's `status`.
struct Kind {
    status: u16,
    openai: &'static str,
    anthropic: &'static str,
    gemini: &'static str,
}

const fn kind(status: u16, openai: &'static str, anthropic: &'static str, gemini: &'static str) -> Kind {
    Kind { status, openai, anthropic, gemini }
}

/// docs.anthropic.com/en/api/errors, google/rpc/code.proto, and what OpenAI sends. Where one word stands for several kinds,
/// its first row is how it is read.
#[rustfmt::skip]
const KINDS: [Kind; 14] = [
    kind(400, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    kind(401, "authentication_error", "authentication_error", "UNAUTHENTICATED"),
    kind(402, "insufficient_quota", "billing_error", "FAILED_PRECONDITION"),
    kind(403, "permission_error", "permission_error", "PERMISSION_DENIED"),
    kind(404, "not_found_error", "not_found_error", "NOT_FOUND"),
    kind(408, "timeout_error", "timeout_error", "DEADLINE_EXCEEDED"),
    kind(409, "conflict_error", "invalid_request_error", "ABORTED"),
    kind(413, "invalid_request_error", "request_too_large", "INVALID_ARGUMENT"),
    kind(429, "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    kind(500, "server_error", "api_error", "INTERNAL"),
    kind(503, "service_unavailable_error", "overloaded_error", "UNAVAILABLE"),
    kind(529, "overloaded_error", "overloaded_error", "UNAVAILABLE"),
    kind(504, "timeout_error", "timeout_error", "DEADLINE_EXCEEDED"),
    kind(501, "server_error", "api_error", "UNIMPLEMENTED"),
];

/// The statuses of OpenAI's codes (platform.openai.com/docs/guides/error-codes), for events that have nothing but a code.
const CODES: [(&str, u16); 10] = [
    ("rate_limit_exceeded", 429),
    ("insufficient_quota", 429),
    ("server_is_overloaded", 503),
    ("slow_down", 503),
    ("context_length_exceeded", 400),
    ("invalid_prompt", 400),
    ("string_above_max_length", 400),
    ("content_policy_violation", 400),
    ("model_not_found", 404),
    ("invalid_api_key", 401),
];

impl<'a> Refusal<'a> {
    /// With these words, and nothing else.
    pub fn new(status: u16, message: impl Into<Cow<'a, str>>) -> Self {
        Self { status, message: message.into(), code: None, param: None, retry_after_s: None }
    }

    /// What MiniMax says by a code beside its answers, and these words.
    pub fn of_code(code: u64, said: Option<Cow<'a, str>>) -> Self {
        let status = failed::status_of_code(code).unwrap_or(500);
        Self { code: Some(code.to_string().into()), ..Self::new(status, said.unwrap_or(UNFINISHED.into())) }
    }
}

impl Refusal<'_> {
    /// Owned.
    pub fn into_owned(self) -> Refusal<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Refusal {
            status: self.status,
            message: own(self.message),
            code: self.code.map(own),
            param: self.param.map(own),
            retry_after_s: self.retry_after_s,
        }
    }

    fn kind(&self) -> &'static Kind {
        let of = |status: u16| KINDS.iter().find(|kind| kind.status == status);
        let general = if self.status >= 500 { 500 } else { 400 };
        of(self.status).or_else(|| of(general)).unwrap_or(&KINDS[0])
    }

    /// What a provider of this dialect says by a finish reason that is a failure. `None`: it is none.
    pub fn of_finish(dialect: DialectId, word: &str) -> Option<Refusal<'static>> {
        let status = failed::status_of_word(dialect, word)?;
        Some(Refusal { code: Some(word.to_owned().into()), ..Refusal::new(status, format!("{UNFINISHED}: {word}")) })
    }

    /// The error object of any dialect: an HTTP answer's body with its status, or an event's data without.
    pub fn read(status: Option<u16>, body: &[u8]) -> Refusal<'static> {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            let message = std::str::from_utf8(body).map_or_else(|_| NO_TEXT.to_owned(), shown);
            return Refusal::new(status.unwrap_or(500), message);
        };
        let top = value.as_array().and_then(|list| list.first()).unwrap_or(&value);
        let inner = top.get("error").filter(|error| !error.is_null()).unwrap_or(top);
        let inner = inner.get("error").filter(|error| error.is_object()).unwrap_or(inner);
        let text = |object: &Value, name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let said = ["message", "detail", "msg", "error"].into_iter().find_map(|name| text(inner, name));
        let message = said
            .or_else(|| inner.as_str().map(str::to_owned))
            .or_else(|| text(top, "message"))
            .unwrap_or_else(|| shown(&value.to_string()));
        let word = text(inner, "type").filter(|word| word != "error");
        let code = text(inner, "code");
        let status = status.or_else(|| status_of(inner, [&word, &code])).unwrap_or(500);
        let code = code.or_else(|| word.filter(|word| !KINDS.iter().any(|kind| is_kind(kind, word))));
        Refusal {
            status,
            message: message.into(),
            code: code.map(Cow::Owned),
            param: text(inner, "param").map(Cow::Owned),
            retry_after_s: retry_after_s(inner),
        }
    }

    /// The members of this error's object in a client's dialect, without braces: an HTTP answer's body, or an event's data.
    pub fn members(&self, client: DialectId, is_event: bool, request_id: &str) -> String {
        let json = |text: &str| Value::from(text).to_string();
        let or_null = |text: &Option<Cow<'_, str>>| text.as_deref().map_or_else(|| "null".to_owned(), json);
        let (kind, message) = (self.kind(), json(&self.message));
        let (code, param) = (or_null(&self.code), or_null(&self.param));
        let openai =
            format!(r#""error":{{"message":{message},"type":{},"param":{param},"code":{code}}}"#, json(kind.openai));
        match client {
            DialectId::OpenAiResponses if is_event => {
                // By the reference the members stand in the event; what OpenAI sends has them in `error` too.
                format!(
                    r#""type":"error","sequence_number":{},"code":{code},"message":{message},"param":{param},{openai}"#,
                    i32::MAX
                )
            }
            DialectId::Anthropic => format!(
                r#""type":"error","error":{{"type":{},"message":{message}}},"request_id":{}"#,
                json(kind.anthropic),
                json(request_id),
            ),
            DialectId::Gemini => {
                let details = self.retry_after_s.map_or_else(String::new, |seconds| {
                    format!(r#","details":[{{"@type":"{RETRY_INFO}","retryDelay":"{seconds}s"}}]"#)
                });
                let (status, word) = (self.status, json(kind.gemini));
                format!(r#""error":{{"code":{status},"message":{message},"status":{word}{details}}}"#)
            }
            // No client speaks the others.
            _ => openai,
        }
    }
}

fn is_kind(kind: &Kind, word: &str) -> bool {
    word == kind.openai || word == kind.anthropic || word == kind.gemini
}

/// The status that an error in mid-stream would have had.
fn status_of(error: &Value, words: [&Option<String>; 2]) -> Option<u16> {
    let number = |name: &str| error.get(name).and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let http = |status: &u16| (400..600).contains(status);
    let status_word = error.get("status").and_then(Value::as_str).map(str::to_owned);
    let by_word = |word: &Option<String>| {
        let word = word.as_deref()?;
        KINDS.iter().find(|kind| is_kind(kind, word)).map(|kind| kind.status)
    };
    // A code says more than a type.
    let by_code = |word: &Option<String>| {
        let word = word.as_deref()?;
        CODES.iter().find(|(code, _)| *code == word).map(|(_, status)| *status)
    };
    number("code")
        .filter(http)
        .or_else(|| number("status").filter(http))
        .or_else(|| by_word(&status_word))
        .or_else(|| words.into_iter().find_map(by_code))
        .or_else(|| words.into_iter().find_map(by_word))
}

/// Google's delay, a protobuf duration in JSON (`"37s"`, `"0.25s"`), in whole seconds, rounded up.
fn retry_after_s(error: &Value) -> Option<u64> {
    let details = error.get("details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?.strip_suffix('s')?;
    let (whole, fraction) = delay.split_once('.').unwrap_or((delay, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let more = u64::from(fraction.bytes().any(|byte| byte != b'0'));
    Some(whole.parse::<u64>().ok()?.saturating_add(more).min(RETRY_AFTER_S_MAX))
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: Option<u16>, body: &str) -> (u16, String, Option<String>) {
        let refusal = Refusal::read(status, body.as_bytes());
        (refusal.status, refusal.message.into_owned(), refusal.code.map(Cow::into_owned))
    }

    #[test]
    fn every_dialects_error_is_read() {
        let code = |code: &str| Some(code.to_owned());
        let (four, five) = (Some(400), Some(529));
        assert_eq!(
            read(
                four,
                r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#
            ),
            (400, "too long".into(), code("context_length_exceeded"))
        );
        assert_eq!(
            read(five, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
            (529, "Overloaded".into(), None)
        );
        assert_eq!(
            read(Some(429), r#"[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}]"#),
            (429, "slow".into(), None)
        );
        assert_eq!(read(Some(500), r#"{"detail":"why"}"#), (500, "why".into(), None));
        assert_eq!(read(Some(502), "<html>"), (502, "<html>".into(), None));
        assert_eq!(read(four, r#"{"error":"plain"}"#), (400, "plain".into(), None));
    }

    #[test]
    fn an_error_in_mid_stream_has_the_status_of_its_kind() {
        let of = |body: &str| read(None, body).0;
        assert_eq!(of(r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#), 503);
        assert_eq!(of(r#"{"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#), 429);
        assert_eq!(of(r#"{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}"#), 503);
        assert_eq!(of(r#"{"error":{"message":"x","type":"server_error"}}"#), 500);
        assert_eq!(of(r#"{"error":{"message":"x"}}"#), 500);
        // As Responses has it.
        for (code, status) in CODES {
            assert_eq!(of(&format!(r#"{{"type":"error","code":"{code}","message":"x","param":null}}"#)), status);
        }
        let quota = r#"{"error":{"message":"x","type":"insufficient_quota","code":"insufficient_quota"}}"#;
        assert_eq!(of(quota), 429, "as OpenAI sends it");
    }

    #[test]
    fn when_to_come_again_is_read_and_written_as_google_has_it() {
        let read = |delay: &str| {
            let info = format!(r#"{{"@type":"{RETRY_INFO}","retryDelay":{delay}}}"#);
            let body = format!(r#"{{"error":{{"code":429,"message":"m","details":[{{"reason":"x"}},{info}]}}}}"#);
            Refusal::read(Some(429), body.as_bytes()).retry_after_s
        };
        for (delay, expected) in [
            ("\"37s\"", Some(37)),
            ("\"0.25s\"", Some(1)),
            ("\"2.000s\"", Some(2)),
            ("\"99999999s\"", Some(RETRY_AFTER_S_MAX)),
            ("\"-1s\"", None),
            ("\"1.-s\"", None),
            ("\"37\"", None),
            ("7", None),
        ] {
            assert_eq!(read(delay), expected, "{delay}");
        }
        let refusal = Refusal { retry_after_s: Some(7), ..Refusal::new(429, "m") };
        let body = format!("{{{}}}", refusal.members(DialectId::Gemini, false, "id"));
        assert_eq!(Refusal::read(None, body.as_bytes()), refusal);
    }

    #[test]
    fn an_error_keeps_its_meaning_through_every_dialect() {
        for kind in &KINDS[..11] {
            for client in DialectId::ALL {
                let refusal = Refusal::new(kind.status, "m\"");
                let body = format!("{{{}}}", refusal.members(client, false, "id"));
                assert_eq!(Refusal::read(Some(kind.status), body.as_bytes()), refusal, "{client}");
            }
        }
    }
}
