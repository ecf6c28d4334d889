//! What is asked of an upstream to see whether it answers: a question of a few tokens, which anybody can answer.

use super::trial::{Question, Trial, trial};
use crate::config::Model;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::{ChatRequest, ChatRules, Json, Manner, Message, Options, Part, Role, wire};
use crate::dialect::endpoint::{self, Target};
use crate::dialect::trade::Trade;
use crate::dialect::{Answer, DialectId, embed};
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

/// Asks this upstream for a few tokens, in its own dialect, or whatever else the model makes. A picture is not made to see whether
/// one could be, and a voice has a name that only its vendor knows: for these, the upstream's list of models is asked for.
pub async fn probe(snapshot: &Snapshot, upstream: &Arc<Upstream>, model: &Model) -> Trial {
    let (dialects, name) = (&upstream.provider.dialects, &model.upstream_model);
    let trade = Trade::of(name, dialects);
    let Some(target) = trade.operation(dialects) else { return talk(snapshot, upstream, name).await };
    let listed = || endpoint::operation_target(target.endpoint.dialect, Answer::ModelList);
    let (target, question) = match trade {
        Trade::Transcribes => (target, silence(name)),
        Trade::Speaks | Trade::Draws => (listed().unwrap_or(target), Question::default()),
        Trade::Talks | Trade::Embeds | Trade::Reranks | Trade::Moderates => {
            let body = words(trade, &target, name);
            (target, Question::json(body))
        }
    };
    trial(snapshot, upstream, &target, name, question).await
}

/// Of an upstream's models the one that shows best whether it answers.
pub fn model_to_probe<'m>(models: impl Iterator<Item = &'m Model>, dialects: &[DialectId]) -> Option<&'m Model> {
    models.min_by_key(|model| Trade::of(&model.upstream_model, dialects))
}

async fn talk(snapshot: &Snapshot, upstream: &Arc<Upstream>, name: &str) -> Trial {
    let dialect = upstream.provider.dialects.first().copied().unwrap_or(DialectId::OpenAi);
    let target = endpoint::chat_target(dialect, false, name, false);
    let ask = async |limit: &str| {
        let question = Question::json(conversation(dialect, name, limit));
        trial(snapshot, upstream, &target, name, question).await
    };
    if upstream.provider.chat.names_newer_limit(name) {
        return ask(NEWER_LIMIT).await;
    }
    let tried = ask(LIMIT).await;
    // A model of OpenAI's behind a vendor of another row: most compatible ones do not know that name.
    let renamed = matches!(tried.status, Ok(400)) && says(&tried.body, NEWER_LIMIT.as_bytes());
    if renamed { ask(NEWER_LIMIT).await } else { tried }
}

fn says(body: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(body, word).is_some()
}

/// A conversation's body. `limit`: OpenAI's field for the most output tokens.
fn conversation(dialect: DialectId, model: &str, limit: &str) -> Bytes {
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

/// The body for a model that reads a few words and writes none.
fn words(trade: Trade, target: &Target, model: &str) -> Bytes {
    match trade {
        Trade::Embeds => embed::question(target.endpoint.dialect, model, SAY),
        Trade::Reranks => json!({"model": model, "query": SAY, "documents": [SAY]}).to_string().into(),
        _ => json!({"model": model, "input": SAY}).to_string().into(),
    }
}

/// A quarter of a second of silence, which OpenAI's transcriptions take (the least is a tenth).
fn silence(model: &str) -> Question {
    const BOUNDARY: &str = "a-quarter-of-a-second";
    const SAMPLES_PER_SECOND: u32 = 8_000;
    const SAMPLE_BYTES: u32 = 2;
    let bytes = SAMPLES_PER_SECOND * SAMPLE_BYTES / 4;
    let mut body = Vec::new();
    for (name, value) in [("model", model), ("response_format", "json")] {
        let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"silence.wav\"\r\nContent-Type: audio/wav\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    // A WAV file: PCM (1), one channel.
    body.extend_from_slice(b"RIFF");
    body.extend_from_slice(&(36 + bytes).to_le_bytes());
    body.extend_from_slice(b"WAVEfmt ");
    body.extend_from_slice(&16_u32.to_le_bytes());
    body.extend_from_slice(&[1, 0, 1, 0]);
    body.extend_from_slice(&SAMPLES_PER_SECOND.to_le_bytes());
    body.extend_from_slice(&(SAMPLES_PER_SECOND * SAMPLE_BYTES).to_le_bytes());
    body.extend_from_slice(&[SAMPLE_BYTES as u8, 0, SAMPLE_BYTES as u8 * 8, 0]);
    body.extend_from_slice(b"data");
    body.extend_from_slice(&bytes.to_le_bytes());
    body.resize(body.len() + bytes as usize, 0);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    Question { content_type: Some(format!("multipart/form-data; boundary={BOUNDARY}")), body: body.into() }
}
