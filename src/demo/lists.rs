//! Lists of models. Three dialects share `/v1/models`: a header tells which of them the caller speaks.

use super::Model;
use super::call::{Call, Fault, Reply};
use http::HeaderMap;
use serde_json::{Value, json};

/// A dialect's shape of lists and refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    OpenAi,
    Anthropic,
    Gemini,
}

impl Shape {
    /// The one that these headers speak.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key("anthropic-version") {
            Self::Anthropic
        } else if headers.contains_key("x-goog-api-key") {
            Self::Gemini
        } else {
            Self::OpenAi
        }
    }

    fn provider(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    fn row(self, model: &Model) -> Value {
        match self {
            Self::OpenAi => {
                json!({"id": model.name, "object": "model", "created": 1_735_689_600, "owned_by": "tollgate-demo"})
            }
            Self::Anthropic => json!({"type": "model", "id": model.name, "display_name": model.name,
                "created_at": "2025-01-01T00:00:00Z", "max_input_tokens": model.context_tokens,
                "max_tokens": model.output_tokens_max}),
            Self::Gemini => {
                let methods = if model.output_tokens_max == 0 {
                    json!(["embedContent", "batchEmbedContents"])
                } else {
                    json!(["generateContent", "countTokens"])
                };
                json!({"name": format!("models/{}", model.name), "version": "001", "displayName": model.name,
                    "inputTokenLimit": model.context_tokens, "outputTokenLimit": model.output_tokens_max.max(1),
                    "supportedGenerationMethods": methods})
            }
        }
    }

    fn list(self) -> Reply {
        let rows: Vec<Value> =
            super::models().iter().filter(|m| m.provider == self.provider()).map(|model| self.row(model)).collect();
        let id = |row: Option<&Value>| row.map(|row| row["id"].clone());
        let body = match self {
            Self::OpenAi => json!({"object": "list", "data": rows}),
            Self::Anthropic => {
                json!({"data": rows, "has_more": false, "first_id": id(rows.first()), "last_id": id(rows.last())})
            }
            Self::Gemini => json!({"models": rows}),
        };
        Reply::json(&body, 0)
    }

    fn one(self, call: &Call<'_>) -> Result<Reply, Fault> {
        let name = call.model(self.provider(), Some(call.capture))?;
        let row = super::models().iter().find(|model| model.name == name).map(|model| self.row(model));
        Ok(Reply::json(&row.unwrap_or_default(), 0))
    }
}

/// `GET /v1/models`.
pub(super) fn models(call: &Call<'_>) -> Result<Reply, Fault> {
    Ok(Shape::of(call.headers).list())
}

/// `GET /v1/models/{}`.
pub(super) fn one_model(call: &Call<'_>) -> Result<Reply, Fault> {
    Shape::of(call.headers).one(call)
}

/// `GET /v1beta/models`.
pub(super) fn gemini_models(_: &Call<'_>) -> Result<Reply, Fault> {
    Ok(Shape::Gemini.list())
}

/// `GET /v1beta/models/{}`.
pub(super) fn gemini_model(call: &Call<'_>) -> Result<Reply, Fault> {
    Shape::Gemini.one(call)
}

/// A refusal on the shared paths.
pub(super) fn fault(fault: &Fault, call: &Call<'_>) -> Value {
    match Shape::of(call.headers) {
        Shape::OpenAi => super::openai::fault(fault, call),
        Shape::Anthropic => super::anthropic::fault(fault, call),
        Shape::Gemini => super::gemini::fault(fault, call),
    }
}
