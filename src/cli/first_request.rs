//! The request that a first start shows: one that its first upstream answers, to be pasted into a shell.

use crate::config::Upstream;
use crate::dialect::DialectId;
use crate::dialect::trade::Trade;
use crate::provider::providers;
use crate::proxy::model_to_probe;
use serde_json::json;

/// A request as curl sends it.
struct Request {
    path: String,
    /// The header field that has the key, up to it.
    credential: &'static str,
    sent: Sent,
}

/// What a request has beside its head.
enum Sent {
    Json(String),
    /// The same; what comes back goes to a file of this name.
    JsonForFile(String, &'static str),
    /// A form's text, as `name=value`, and its file.
    Form(String, &'static str),
}

const BEARER: &str = "Authorization: Bearer ";

/// Asks the upstream's best model for what it makes.
pub(super) fn curl(base: &str, upstream: &Upstream, key: &str) -> String {
    let dialects = providers().get(&upstream.provider).map(|row| &*row.dialects).unwrap_or_default();
    let model = model_to_probe(upstream.models.iter(), dialects);
    let trade = model.map_or(Trade::Talks, |model| Trade::of(&model.upstream_model, dialects));
    let model = model.map_or("MODEL", |model| &*model.name);
    let Request { path, credential, sent } = match trade {
        Trade::Talks => conversation(dialects.first().copied().unwrap_or(DialectId::OpenAi), model),
        _ => other(trade, model),
    };
    let quoted = |text: &str| text.replace('\'', "'\\''");
    let json = |body: &str| vec!["-H 'Content-Type: application/json'".to_owned(), format!("-d '{}'", quoted(body))];
    let rest = match sent {
        Sent::Json(body) => json(&body),
        Sent::JsonForFile(body, file) => [json(&body), vec![format!("-o {file}")]].concat(),
        // Text that begins with an @ (Cloudflare's models do) would else be a file's name.
        Sent::Form(text, file) => vec![format!("--form-string '{}'", quoted(&text)), format!("-F file=@{file}")],
    };
    let head = [format!("    curl {base}{path}"), format!("-H '{credential}{key}'")];
    [&head[..], &rest].concat().join(" \\\n      ")
}

/// In the upstream's own dialect; what upstreams alone speak is reached in any client's.
fn conversation(dialect: DialectId, model: &str) -> Request {
    let say = json!([{"role": "user", "content": "Say hello."}]);
    let (path, credential, body) = match dialect {
        DialectId::OpenAiResponses => ("/v1/responses".into(), BEARER, json!({"model": model, "input": "Say hello."})),
        DialectId::Anthropic => {
            ("/v1/messages".into(), "x-api-key: ", json!({"model": model, "max_tokens": 200, "messages": say}))
        }
        DialectId::Gemini => {
            let body = json!({"contents": [{"parts": [{"text": "Say hello."}]}]});
            (format!("/v1beta/models/{model}:generateContent"), "x-goog-api-key: ", body)
        }
        _ => ("/v1/chat/completions".into(), BEARER, json!({"model": model, "messages": say})),
    };
    Request { path, credential, sent: Sent::Json(body.to_string()) }
}

/// In OpenAI's dialect, which has operations for all of these.
fn other(trade: Trade, model: &str) -> Request {
    let words = json!({"model": model, "input": "Say hello."}).to_string();
    let (path, sent) = match trade {
        Trade::Talks | Trade::Embeds => ("/v1/embeddings", Sent::Json(words)),
        Trade::Moderates => ("/v1/moderations", Sent::Json(words)),
        Trade::Reranks => {
            let body = json!({"model": model, "query": "Who is there?", "documents": ["Nobody.", "A tollgate."]});
            ("/v1/rerank", Sent::Json(body.to_string()))
        }
        Trade::Transcribes => ("/v1/audio/transcriptions", Sent::Form(format!("model={model}"), "hello.wav")),
        Trade::Speaks => {
            let body = json!({"model": model, "input": "Hello.", "voice": "alloy"});
            ("/v1/audio/speech", Sent::JsonForFile(body.to_string(), "hello.mp3"))
        }
        Trade::Draws => {
            ("/v1/images/generations", Sent::Json(json!({"model": model, "prompt": "A tollgate"}).to_string()))
        }
    };
    Request { path: path.to_owned(), credential: BEARER, sent }
}

#[cfg(test)]
mod tests {
    use super::curl;
    use crate::config::Config;

    #[test]
    fn the_request_to_be_pasted_is_one_that_the_first_model_answers() {
        for (variable, path, body) in [
            ("OPENAI_API_KEY", "/v1/chat/completions", "\"messages\":["),
            ("ANTHROPIC_API_KEY", "/v1/messages", "\"max_tokens\":"),
            ("GEMINI_API_KEY", ":generateContent", "\"contents\":["),
            ("VOYAGE_API_KEY", "/v1/embeddings", "\"input\":\"Say hello.\""),
        ] {
            let config = Config::from_environment(&|name| (name == variable).then(|| "k".to_owned()));
            let curl = curl("http://gateway", &config.upstreams[0], "sk-tg");
            assert!(curl.starts_with("    curl http://gateway/v1") && curl.contains("sk-tg'"), "{curl}");
            assert!(curl.contains(&format!("{path} ")) && curl.contains(body), "{curl}");
        }
    }

    #[test]
    fn what_makes_no_words_is_asked_for_what_it_makes() {
        for (model, path, sent) in [
            ("tts-1", "/v1/audio/speech", "-o hello.mp3"),
            ("whisper-1", "/v1/audio/transcriptions", "-F file=@hello.wav"),
            ("@cf/openai/whisper", "/v1/audio/transcriptions", "--form-string 'model=@cf/openai/whisper'"),
            ("gpt-image-1", "/v1/images/generations", "\"prompt\":"),
            ("jina-reranker-v3", "/v1/rerank", "\"documents\":["),
            ("omni-moderation-latest", "/v1/moderations", "\"input\":"),
            ("it's", "/v1/chat/completions", "\"model\":\"it'\\''s\""),
        ] {
            let mut config = Config::from_environment(&|name| (name == "OPENAI_API_KEY").then(|| "k".to_owned()));
            let upstream = &mut config.upstreams[0];
            upstream.models.truncate(1);
            upstream.models[0].name = model.into();
            upstream.models[0].upstream_model = model.into();
            let curl = curl("http://gateway", upstream, "sk-tg");
            assert!(curl.contains(&format!("http://gateway{path} ")) && curl.contains(sent), "{curl}");
        }
    }
}
