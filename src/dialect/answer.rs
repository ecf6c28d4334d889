//! What the gateway itself says to a client, in the client's dialect: refusals, the end of a stream whose upstream died, lists
//! of models.

mod models;
mod tail;
#[cfg(test)]
mod tests;
mod unclosed;

pub use models::{ListedModel, model, model_list};
pub use tail::Tail;

use super::shape::{DialectId, Framing};
use bytes::Bytes;
use tail::Cut;
use tollgate_plugin_api::{Reject, RejectCode, RejectRow};

/// The `sequence_number` of our error event among Responses' events: clients want one above all before it, and what those
/// had is not kept.
const LAST_SEQUENCE_NUMBER: i32 = i32::MAX;

/// Follows the error event in Gemini's server-sent events: Google's JavaScript SDKs pass the event on as if it were an answer,
/// but fail on a rest without a blank line. To every other parser it is a comment.
pub(super) const GEMINI_LAST_COMMENT: &str = ": the stream was broken off\n";

/// An error, before it gets a dialect's shape.
struct Said<'a> {
    row: RejectRow,
    message: &'a str,
    code: &'a str,
    param: Option<&'a str>,
    retry_after_s: Option<u64>,
    request_id: &'a str,
}

/// The body of a refusal. Anthropic's and Gemini's shapes have no place for our code: it stands at the message's end, or in the
/// details.
pub fn reject_body(dialect: DialectId, reject: &Reject, request_id: &str) -> Bytes {
    let row = reject.code.row();
    let said = Said {
        row,
        message: reject.message.as_deref().unwrap_or(row.message),
        code: row.code,
        param: reject.param.as_deref(),
        retry_after_s: reject.retry_after_s,
        request_id,
    };
    // A refusal of Responses' is an HTTP answer, not an event: it has the shape of all of OpenAI's.
    let dialect = if dialect == DialectId::OpenAiResponses { DialectId::OpenAi } else { dialect };
    format!("{{{}}}", members(dialect, &said)).into()
}

/// How many tokens a prompt has, as the dialect's counting operation answers (Anthropic's `count_tokens`, Gemini's
/// `countTokens`, OpenAI's `responses/input_tokens`).
pub fn token_count(dialect: DialectId, tokens: u64) -> Bytes {
    match dialect {
        DialectId::Anthropic => format!(r#"{{"input_tokens":{tokens}}}"#),
        DialectId::Gemini => format!(r#"{{"totalTokens":{tokens}}}"#),
        _ => format!(r#"{{"object":"response.input_tokens","input_tokens":{tokens}}}"#),
    }
    .into()
}

/// The end of a stream whose upstream died: an error event in the client's dialect, after whatever it takes to end what is
/// open. Empty where nothing can be said (one JSON document, audio).
///
/// `cut` says where the stream stopped: a [`Tail`] that followed it, or whether it was between two events.
///
/// Server-sent events have no way to take back a `data` line once it has begun, and the official SDKs parse each one as JSON
/// and raise their JSON error on half of it. So the half is made whole: what is open is closed, and the error put in as a
/// further member. OpenAI's and Anthropic's SDKs look for the error first and never deliver the half's content; Google's
/// Python SDK wants `error` to be the first member, so in Gemini's dialect the half is closed and the error follows as an event
/// of its own. Where the half is not known (`false`), it is ended as it is; in Anthropic's dialect it becomes a `ping`, which
/// the SDKs pass over without parsing, in the others their JSON error is what the client sees.
pub fn stream_error_event<'a>(
    dialect: DialectId,
    framing: Framing,
    message: &str,
    code: &str,
    request_id: &str,
    cut: impl Into<Stopped<'a>>,
) -> Bytes {
    let row = match RejectCode::UpstreamTimeout.row() {
        timeout if timeout.code == code => timeout,
        _ => RejectCode::UpstreamUnavailable.row(),
    };
    let said = Said { row, message, code, param: None, retry_after_s: None, request_id };
    let members = members(dialect, &said);
    let cut = match cut.into() {
        Stopped::Followed(tail) => tail.cut(),
        Stopped::AtBoundary => Cut::Between,
        Stopped::Inside => Cut::Unknown,
    };
    match framing {
        Framing::Sse => end_of_events(dialect, &members, cut),
        Framing::NdJson => end_of_lines(&members, cut),
        Framing::JsonArray => end_of_array(&members, cut),
        Framing::JsonDocument | Framing::Opaque | Framing::EventStream => Vec::new(),
    }
    .into()
}

/// What is known about where a stream stopped.
#[derive(Clone, Copy, Debug)]
pub enum Stopped<'a> {
    /// All that went to the client was followed.
    Followed(&'a Tail),
    /// Between two events.
    AtBoundary,
    /// Anywhere else.
    Inside,
}

impl<'a> From<&'a Tail> for Stopped<'a> {
    fn from(tail: &'a Tail) -> Self {
        Self::Followed(tail)
    }
}

/// True: between two events.
impl From<bool> for Stopped<'_> {
    fn from(at_boundary: bool) -> Self {
        if at_boundary { Self::AtBoundary } else { Self::Inside }
    }
}

fn end_of_events(dialect: DialectId, members: &str, cut: Cut) -> Vec<u8> {
    let names_events = matches!(dialect, DialectId::OpenAiResponses | DialectId::Anthropic);
    let name_line = |named: bool| if named || names_events { "event: error\n" } else { "" };
    let event = |named: bool| format!("{}data: {{{members}}}\n\n", name_line(named));
    let mut end = match cut {
        Cut::Between => event(false).into_bytes(),
        Cut::AfterData { after_return } => {
            let blank_line = if after_return { "\n\n" } else { "\n" };
            format!("{blank_line}{}", event(false)).into_bytes()
        }
        // An event's name that came before ours is replaced: the last one counts.
        Cut::BeforeData { finish, named } => format!("{finish}{}", event(named)).into_bytes(),
        Cut::NoValue { finish, named } => format!("{finish}{{{members}}}\n{}\n", name_line(named)).into_bytes(),
        Cut::InValue { named, member: Some(closing), .. } if dialect != DialectId::Gemini => {
            let comma = if closing.needs_comma { "," } else { "" };
            let ours = format!("{comma}{members}}}\n{}\n", name_line(named));
            [closing.text, ours.into_bytes()].concat()
        }
        Cut::InValue { whole, .. } => [whole, format!("\n\n{}", event(false)).into_bytes()].concat(),
        _ if dialect == DialectId::Anthropic => format!("\nevent: ping\n\n{}", event(false)).into_bytes(),
        _ => format!("\n\n{}", event(false)).into_bytes(),
    };
    if dialect == DialectId::Gemini {
        end.extend_from_slice(GEMINI_LAST_COMMENT.as_bytes());
    }
    end
}

fn end_of_lines(members: &str, cut: Cut) -> Vec<u8> {
    let line = format!("{{{members}}}\n");
    match cut {
        Cut::Between => line.into_bytes(),
        Cut::InValue { whole, .. } => [whole, format!("\n{line}").into_bytes()].concat(),
        _ => format!("\n{line}").into_bytes(),
    }
}

fn end_of_array(members: &str, cut: Cut) -> Vec<u8> {
    let last = format!("\n{{{members}}}\n]");
    match cut {
        Cut::Ended => Vec::new(),
        Cut::NoArray => format!("[{{{members}}}\n]").into_bytes(),
        Cut::InArray { closing, needs_comma } => {
            let comma = if needs_comma { "," } else { "" };
            [closing, format!("{comma}{last}").into_bytes()].concat()
        }
        _ => format!(",{last}").into_bytes(),
    }
}

/// The members of an error object, in the dialect's order.
fn members(dialect: DialectId, said: &Said<'_>) -> String {
    let Said { row, message, code, param, .. } = said;
    let param = param.map_or_else(|| "null".to_owned(), json);
    let openai = || {
        let (message, kind, code) = (json(message), json(row.openai_type), json(code));
        format!(r#""error":{{"message":{message},"type":{kind},"code":{code},"param":{param}}}"#)
    };
    match dialect {
        // By OpenAI's reference the members stand in the event; what it really sends has them in `error`. The SDKs look there.
        DialectId::OpenAiResponses => format!(
            r#""type":"error","sequence_number":{LAST_SEQUENCE_NUMBER},"code":{},"message":{},"param":{param},{}"#,
            json(code),
            json(message),
            openai(),
        ),
        DialectId::Anthropic => format!(
            r#""type":"error","error":{{"type":{},"message":{}{}}},"request_id":{}"#,
            json(row.anthropic_type),
            json(&format!("{message} ({code})")),
            anthropic_details(said),
            json(said.request_id),
        ),
        DialectId::Gemini => format!(
            r#""error":{{"code":{},"message":{},"status":{},"details":[{}]}}"#,
            row.status,
            json(message),
            json(row.gemini_status),
            gemini_details(said),
        ),
        // No client speaks the others.
        _ => openai(),
    }
}

/// Refusals that Anthropic's SDK can go on from, by the field that is refused: where no server keeps the conversation, it
/// sends the whole of it with every turn (anthropic-sdk-python, `lib/threads`).
const ANTHROPIC_DETAILS: [(&str, &str); 1] =
    [("thread", r#"{"error_code":"thread_unsupported_request","unsupported":["thread"]}"#)];

fn anthropic_details(said: &Said<'_>) -> String {
    let details = ANTHROPIC_DETAILS.iter().find(|(param, _)| said.param == Some(*param));
    details.map_or_else(String::new, |(_, details)| format!(r#","details":{details}"#))
}

/// Google's error details (google/rpc/error_details.proto).
fn gemini_details(said: &Said<'_>) -> String {
    let mut details = format!(
        r#"{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":{},"domain":"tollgate"}}"#,
        json(said.code)
    );
    if let Some(param) = said.param {
        details.push_str(&format!(
            r#",{{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{{"field":{},"description":{}}}]}}"#,
            json(param),
            json(said.message)
        ));
    }
    if let Some(seconds) = said.retry_after_s {
        details
            .push_str(&format!(r#",{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{seconds}s"}}"#));
    }
    details
}

/// A text as JSON.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
