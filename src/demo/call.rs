//! One request to the simulated provider, and what a route may answer.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// A request, as the routes see it.
pub(super) struct Call<'a> {
    /// What stood for `{}` in the route's path; else empty.
    pub(super) capture: &'a str,
    /// The query, without the question mark; may be empty.
    pub(super) query: &'a str,
    /// Header fields.
    pub(super) headers: &'a HeaderMap,
    /// The body as it came.
    pub(super) body: &'a Bytes,
    /// The body as JSON; `Null` if the route does not read JSON.
    pub(super) json: Value,
    /// Unlike in any other request of this process.
    pub(super) serial: u64,
    /// Unix time in seconds.
    pub(super) now_s: u64,
}

impl Call<'_> {
    /// A text field of the body.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.json.get(name).and_then(Value::as_str)
    }

    /// A whole number of the body.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.json.get(name).and_then(Value::as_u64)
    }

    /// A switch of the body; absent means off.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.json.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A list of the body; absent means empty.
    pub(super) fn list(&self, name: &str) -> &[Value] {
        self.json.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A text, or a list of texts, as a list.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        match self.json.get(name) {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// An id as providers make them: a prefix and letters that no other request has.
    pub(super) fn id(&self, prefix: &str) -> String {
        let high = super::text::mix(self.serial);
        format!("{prefix}{high:016x}{:08x}", super::text::mix(high) >> 32)
    }

    /// The model's name.
    ///
    /// # Errors
    /// No model is named, or one that the provider does not have.
    pub(super) fn model(&self, provider: &str, name: Option<&str>) -> Result<&'static str, Fault> {
        let name = name.ok_or_else(|| Fault::invalid("model", "you must provide a model parameter"))?;
        let known = super::models().iter().find(|model| model.provider == provider && model.name == name);
        known.map(|model| model.name).ok_or_else(|| Fault::no_model(name))
    }
}

/// What a route answers.
#[derive(Debug)]
pub(super) enum Reply {
    /// One body with a content-length.
    Whole {
        /// `content-type`.
        content_type: &'static str,
        /// The body.
        body: Bytes,
        /// Tokens that were generated for it: it takes its time.
        tokens: u64,
    },
    /// A body of unknown length: a pause after each piece.
    Pieces {
        /// `content-type`.
        content_type: &'static str,
        /// The body, in the pieces in which it is sent.
        pieces: Vec<Bytes>,
    },
}

impl Reply {
    /// A JSON body that took the time of so many tokens.
    pub(super) fn json(value: &Value, tokens: u64) -> Self {
        Self::Whole { content_type: "application/json", body: Bytes::from(value.to_string()), tokens }
    }

    /// A stream of events that have no name of their own, ended by `[DONE]`.
    pub(super) fn events(events: &[Value]) -> Self {
        let mut pieces: Vec<Bytes> = events.iter().map(|event| Bytes::from(format!("data: {event}\n\n"))).collect();
        pieces.push(Bytes::from_static(b"data: [DONE]\n\n"));
        Self::Pieces { content_type: "text/event-stream", pieces }
    }

    /// A stream of events that carry their `type` as name; nothing marks the end but the last event itself.
    pub(super) fn named_events(events: &[Value]) -> Self {
        let piece = |event: &Value| {
            Bytes::from(format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("message")))
        };
        Self::Pieces { content_type: "text/event-stream; charset=utf-8", pieces: events.iter().map(piece).collect() }
    }
}

/// Why the provider refuses a request; each dialect has its own words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The request makes no sense: 400.
    Invalid,
    /// No such model: 404.
    NoModel,
    /// No such path: 404.
    NoPath,
    /// The body is too large: 413.
    TooLarge,
}

/// A refusal.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Which.
    pub(super) kind: FaultKind,
    /// For people.
    pub(super) message: String,
    /// The field that is wrong.
    pub(super) param: Option<String>,
}

impl Fault {
    /// A wrong field.
    pub(super) fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self { kind: FaultKind::Invalid, message: message.into(), param: Some(param.to_owned()) }
    }

    /// An unknown model.
    pub(super) fn no_model(name: &str) -> Self {
        let message = format!("The model `{name}` does not exist or you do not have access to it.");
        Self { kind: FaultKind::NoModel, message, param: None }
    }

    /// HTTP status.
    pub(super) fn status(&self) -> u16 {
        match self.kind {
            FaultKind::Invalid => 400,
            FaultKind::NoModel | FaultKind::NoPath => 404,
            FaultKind::TooLarge => 413,
        }
    }
}
