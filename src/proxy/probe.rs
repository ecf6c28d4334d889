//! What is asked of an upstream to see whether it answers: a question of a few tokens, which anybody can answer.

use super::trial::{Trial, trial};
use crate::config::Model;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::{ChatRequest, ChatRules, Json, Manner, Message, Options, Part, Role, wire};
use crate::dialect::{DialectId, embed, endpoint};
use crate::snapshot::{Snapshot, Upstream};
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;

/// The output tokens that are asked for; some providers take no fewer.
const OUTPUT_TOKENS: u32 = 16;

/// What is asked.
const SAY: &str = "Say OK.";
/// OpenAI's field for the most output tokens, and what its newer models call it.
const LIMIT: &str = "max_tokens";
const NEWER_LIMIT: &str = "max_completion_tokens";

/// Sends a question of a few tokens to this upstream, in its own dialect; to a model that makes embeddings, a few words.
pub async fn probe(snapshot: &Snapshot, upstream: &Arc<Upstream>, model: &Model) -> Trial {
    let (dialects, name) = (&upstream.provider.dialects, &model.upstream_model);
    let embeds = dialects.iter().copied().find(|dialect| embed::counterpart(*dialect).is_some());
    if let Some(dialect) = embeds.filter(|_| embed::is_meant_by(name)) {
        let target = endpoint::embeddings_target(dialect);
        return trial(snapshot, upstream, &target, name, embed::question(dialect, name, SAY)).await;
    }
    let dialect = dialects.first().copied().unwrap_or(DialectId::OpenAi);
    let target = endpoint::chat_target(dialect, false, name, false);
    let ask = async |limit: &str| {
        let body = question(dialect, name, limit);
        trial(snapshot, upstream, &target, name, body).await
    };
    if upstream.provider.chat.names_newer_limit(name) {
        return ask(NEWER_LIMIT).await;
    }
    let tried = ask(LIMIT).await;
    // A model of OpenAI's behind a vendor of another row: most compatible ones do not know that name.
    let renamed = matches!(tried.status, Ok(400)) && says(&tried.body, NEWER_LIMIT.as_bytes());
    if renamed { ask(NEWER_LIMIT).await } else { tried }
}

/// Of an upstream's models the one that shows best whether it answers: the first that talks, else the first.
pub fn model_to_probe<'m>(mut models: impl Iterator<Item = &'m Model> + Clone) -> Option<&'m Model> {
    let first = models.clone().next();
    models.find(|model| !embed::is_meant_by(&model.upstream_model)).or(first)
}

fn says(body: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(body, word).is_some()
}

/// A body. `limit`: OpenAI's field for the most output tokens.
fn question(dialect: DialectId, model: &str, limit: &str) -> Bytes {
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
