//! What is asked of an upstream to see whether it answers: a question of a few tokens, which anybody can answer.

use super::trial::{Trial, trial};
use crate::config::Model;
use crate::dialect::DialectId;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::{ChatRequest, ChatRules, Json, Manner, Message, Options, Part, Role, wire};
use crate::snapshot::{Snapshot, Upstream};
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;

/// The output tokens that are asked for; some providers take no fewer.
const OUTPUT_TOKENS: u32 = 16;

/// Sends a question of a few tokens to this upstream, in its own dialect.
pub async fn probe(snapshot: &Snapshot, upstream: &Arc<Upstream>, model: &Model) -> Trial {
    let dialect = upstream.provider.dialects.first().copied().unwrap_or(DialectId::OpenAi);
    let ask = async |limit: &str| {
        let body = question(dialect, &model.upstream_model, limit);
        trial(snapshot, upstream, dialect, &model.upstream_model, body).await
    };
    let tried = ask("max_tokens").await;
    // Newer models of OpenAI's have another name for it, which most compatible vendors do not know.
    let renamed = matches!(tried.status, Ok(400)) && says(&tried.body, b"max_completion_tokens");
    if renamed { ask("max_completion_tokens").await } else { tried }
}

fn says(body: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(body, word).is_some()
}

/// A body. `limit`: OpenAI's field for the most output tokens.
fn question(dialect: DialectId, model: &str, limit: &str) -> Bytes {
    const SAY: &str = "Say OK.";
    let messages = json!([{"role": "user", "content": SAY}]);
    let body = match dialect {
        DialectId::OpenAi => json!({"model": model, "messages": messages, limit: OUTPUT_TOKENS}),
        DialectId::OpenAiResponses => json!({"model": model, "input": SAY, "max_output_tokens": OUTPUT_TOKENS}),
        DialectId::Anthropic => json!({"model": model, "messages": messages, "max_tokens": OUTPUT_TOKENS}),
        DialectId::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": SAY}]}],
            "generationConfig": {"maxOutputTokens": OUTPUT_TOKENS}}),
        _ => return translated(dialect, model, SAY),
    };
    body.to_string().into()
}

/// The same in a dialect that upstreams alone speak: as a client's request would be translated.
fn translated(dialect: DialectId, model: &str, say: &str) -> Bytes {
    let (name, parts) = (None, vec![Part::text(say)]);
    let plain = vec![(Field::OutputTokens, Json::of(&OUTPUT_TOKENS))];
    let request = ChatRequest {
        messages: vec![Message { role: Role::User, name, parts }],
        options: Options { plain, ..Options::default() },
        ..ChatRequest::default()
    };
    let rules = ChatRules::default();
    let manner = Manner { model, output_tokens_default: OUTPUT_TOKENS.into(), asks_for_usage: false, rules };
    let written = wire(dialect).map(|wire| (wire.write_request)(&request, &manner, &mut Vec::new()));
    // Every dialect can say this.
    written.and_then(Result::ok).unwrap_or_default().into()
}
