//! An error inside an answer whose status was 200.

use serde::Deserialize;
use serde_json::Value;

use crate::dialect::failed;
use crate::dialect::shape::DialectId;

/// A longer message is cut.
const MESSAGE_BYTES_MAX: usize = 1024;

/// What an upstream said when it failed after it had begun to answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorEvent {
    /// Its type: `overloaded_error`, `server_error`, Gemini's `UNAVAILABLE` …
    pub kind: Option<String>,
    /// Its code, if it has one beside the type: `insufficient_quota`, `rate_limit_exceeded`, `502` …
    pub code: Option<String>,
    /// What it says, at most 1 KiB. Provider's text: not to be shown without masking.
    pub message: String,
    /// The HTTP status it would have had: as it is stated, or else by its type.
    pub status: Option<u16>,
}

/// The shapes of all dialects in one; fields of the wrong type are not read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    #[serde(rename = "type")]
    kind: Value,
    code: Value,
    message: Value,
    status: Value,
    status_code: Value,
}

/// The status of an error that states none, by its type, code or Google status.
const STATUSES: [(&str, u16); 20] = [
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("api_error", 500),
    ("timeout_error", 504),
    ("overloaded_error", 529),
    ("insufficient_quota", 429),
    ("rate_limit_exceeded", 429),
    ("server_error", 500),
    ("INVALID_ARGUMENT", 400),
    ("CANCELLED", 499),
    ("RESOURCE_EXHAUSTED", 429),
    ("INTERNAL", 500),
    ("UNAVAILABLE", 503),
    ("DEADLINE_EXCEEDED", 504),
    ("PERMISSION_DENIED", 403),
];

impl ErrorEvent {
    /// The error in the value of an `error` field: an object, or a bare message. `None` if it holds none.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        match serde_json::from_slice::<Value>(json) {
            Ok(Value::Object(object)) if object.is_empty() => None,
            Ok(object @ Value::Object(_)) => {
                let written = Written::deserialize(object).unwrap_or_default();
                Some(Self::of(&written))
            }
            Ok(Value::String(message)) if !message.is_empty() => Some(Self::with_message(&message)),
            Ok(Value::Null | Value::Bool(false) | Value::String(_)) => None,
            // Something that is not readable as an error, or too large to be read, is still one.
            Ok(_) | Err(_) => Some(Self::default()),
        }
    }

    /// An error that is nothing but a text.
    pub(super) fn with_message(message: &str) -> Self {
        let end = (0..=message.len().min(MESSAGE_BYTES_MAX)).rev().find(|&end| message.is_char_boundary(end));
        Self { message: message[..end.unwrap_or(0)].to_owned(), ..Self::default() }
    }

    /// An error whose parts stand beside other things, as JSON values.
    pub(super) fn of_parts(code: Option<&[u8]>, message: Option<&[u8]>) -> Self {
        let value = |json: Option<&[u8]>| json.and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default();
        Self::of(&Written { code: value(code), message: value(message), ..Written::default() })
    }

    /// A finish reason that is a failure; `None`: it is none.
    pub(super) fn of_finish(dialect: DialectId, word: &[u8]) -> Option<Self> {
        let word = std::str::from_utf8(word).ok()?;
        let status = failed::status_of_word(dialect, word)?;
        Some(Self { code: Some(word.to_owned()), status: Some(status), ..Self::default() })
    }

    fn of(written: &Written) -> Self {
        let word = |value: &Value| match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let (mut kind, code) = (word(&written.kind), word(&written.code));
        // Google has its type in `status`.
        kind = kind.or_else(|| written.status.as_str().map(str::to_owned));
        let stated = [&written.status_code, &written.code, &written.status].into_iter().find_map(|value| {
            let number = word(value)?.parse::<u16>().ok()?;
            (400..600).contains(&number).then_some(number)
        });
        let named = |name: &Option<String>| {
            STATUSES.iter().find(|(known, _)| Some(*known) == name.as_deref()).map(|&(_, status)| status)
        };
        let status = stated.or_else(|| named(&code)).or_else(|| named(&kind));
        let message = written.message.as_str().unwrap_or_default();
        Self { kind, code, status, ..Self::with_message(message) }
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorEvent, MESSAGE_BYTES_MAX};

    #[test]
    fn the_shapes_of_all_dialects() {
        for (json, kind, code, message, status) in [
            (
                r#"{"type":"overloaded_error","message":"Overloaded"}"#,
                Some("overloaded_error"),
                None,
                "Overloaded",
                Some(529),
            ),
            (
                r#"{"code":499,"message":"gone","status":"CANCELLED"}"#,
                Some("CANCELLED"),
                Some("499"),
                "gone",
                Some(499),
            ),
            (r#"{"code":502,"message":"bad","metadata":{"x":1}}"#, None, Some("502"), "bad", Some(502)),
            (
                r#"{"type":"x","code":"insufficient_quota","param":null}"#,
                Some("x"),
                Some("insufficient_quota"),
                "",
                Some(429),
            ),
            (
                r#"{"message":"m","code":"tool_use_failed","status_code":400}"#,
                None,
                Some("tool_use_failed"),
                "m",
                Some(400),
            ),
            (r#""it broke""#, None, None, "it broke", None),
            (r#"{"message":{"a":1},"code":[],"type":7}"#, Some("7"), None, "", None),
            (r#"{"message":"a""#, None, None, "", None),
        ] {
            let event = ErrorEvent::read(json.as_bytes()).unwrap();
            assert_eq!((event.kind.as_deref(), event.code.as_deref()), (kind, code), "{json}");
            assert_eq!((event.message.as_str(), event.status), (message, status), "{json}");
        }
        for json in ["null", "false", "\"\"", "{}"] {
            assert_eq!(ErrorEvent::read(json.as_bytes()), None, "{json}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let message = "\u{4e2d}".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(ErrorEvent::with_message(&message).message.len(), MESSAGE_BYTES_MAX / 3 * 3);
    }
}
