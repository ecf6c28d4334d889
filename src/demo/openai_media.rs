//! OpenAI's endpoints beside text: embeddings, moderations, images, speech and transcriptions.

use super::call::{Call, Fault, Reply};
use super::media::{self, base64};
use super::openai::IMAGE_TOKENS;
use super::text;
use bytes::Bytes;
use serde_json::{Value, json};

/// Numbers of an embedding, unless the request says otherwise.
const DIMENSIONS_DEFAULT: u64 = 256;
/// Numbers of an embedding at most.
const DIMENSIONS_MAX: u64 = 4_096;
/// Inputs of one request at most.
const INPUTS_MAX: usize = 2_048;
/// Tokens that one generated image counts.
const IMAGE_OUTPUT_TOKENS: u64 = 272;
/// Images of one request at most.
const IMAGES_MAX: u64 = 10;
/// Bytes of an uploaded recording that count as a tenth of a second.
const AUDIO_BYTES_PER_TENTH: u64 = 1_600;
/// Bytes of generated speech that go out at once.
const SPEECH_PIECE_BYTES: usize = 4_096;

/// A vector of length 1 that follows from the text.
pub(super) fn embedding(input: &str, dimensions: u64) -> Vec<f32> {
    let mut state = text::hash(input);
    let mut next = || {
        state = text::mix(state);
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    let raw: Vec<f32> = (0..dimensions).map(|_| next()).collect();
    let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    raw.into_iter().map(|x| x / length).collect()
}

/// `POST /v1/embeddings`.
pub(super) fn embeddings(call: &Call<'_>) -> Result<Reply, Fault> {
    let model = call.model("openai", call.text("model"))?;
    // Texts, or token ids: one list of them, or several.
    let ids = |list: &[Value]| (list.len() as u64, Value::from(list.to_vec()).to_string());
    let inputs: Vec<(u64, String)> = match call.json.get("input") {
        Some(Value::String(one)) => vec![(text::count(one), one.clone())],
        Some(Value::Array(list)) if list.first().is_some_and(Value::is_number) => vec![ids(list)],
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(|part| match part {
                Value::String(one) => Some((text::count(one), one.clone())),
                other => other.as_array().map(|list| ids(list)),
            })
            .collect(),
        _ => Vec::new(),
    };
    if inputs.is_empty() || inputs.len() > INPUTS_MAX {
        let message = format!("input must be a string, or 1 to {INPUTS_MAX} strings or lists of token ids");
        return Err(Fault::invalid("input", message));
    }
    let dimensions = call.number("dimensions").unwrap_or(DIMENSIONS_DEFAULT);
    if !(1..=DIMENSIONS_MAX).contains(&dimensions) {
        return Err(Fault::invalid("dimensions", format!("dimensions must be from 1 to {DIMENSIONS_MAX}")));
    }
    let packed = call.text("encoding_format") == Some("base64");
    let row = |(index, (_, input)): (usize, &(u64, String))| {
        let vector = embedding(input, dimensions);
        let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        json!({"object": "embedding", "index": index, "embedding": if packed { json!(base64(&bytes)) } else { json!(vector) }})
    };
    let tokens: u64 = inputs.iter().map(|(tokens, _)| tokens).sum();
    let rows: Vec<Value> = inputs.iter().enumerate().map(row).collect();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(Reply::json(&json!({"object": "list", "data": rows, "model": model, "usage": usage}), 0))
}

/// `POST /v1/moderations`: what has the word `violence` in it is flagged.
pub(super) fn moderations(call: &Call<'_>) -> Result<Reply, Fault> {
    let model = call.model("openai", Some(call.text("model").unwrap_or("demo-moderation")))?;
    let inputs = call.texts("input");
    if inputs.is_empty() || inputs.len() > INPUTS_MAX {
        return Err(Fault::invalid("input", format!("input must be a string, or 1 to {INPUTS_MAX} strings")));
    }
    const CATEGORIES: &[&str] = &[
        "harassment",
        "harassment/threatening",
        "hate",
        "hate/threatening",
        "illicit",
        "illicit/violent",
        "self-harm",
        "self-harm/instructions",
        "self-harm/intent",
        "sexual",
        "sexual/minors",
        "violence",
        "violence/graphic",
    ];
    let result = |input: &String| {
        let flagged = input.to_ascii_lowercase().contains("violence");
        let hit = |name: &str| flagged && name == "violence";
        let map =
            |value: &dyn Fn(&str) -> Value| -> Value { CATEGORIES.iter().map(|name| (*name, value(name))).collect() };
        json!({"flagged": flagged, "categories": map(&|name| json!(hit(name))),
            "category_scores": map(&|name| json!(if hit(name) { 0.97 } else { 0.0001 })),
            "category_applied_input_types": map(&|name| if hit(name) { json!(["text"]) } else { json!([]) })})
    };
    let results: Vec<Value> = inputs.iter().map(result).collect();
    Ok(Reply::json(&json!({"id": call.id("modr-"), "model": model, "results": results}), 0))
}

/// `POST /v1/images/generations`.
pub(super) fn images(call: &Call<'_>) -> Result<Reply, Fault> {
    let model = call.text("model");
    let prompt = call.text("prompt").ok_or_else(|| Fault::invalid("prompt", "prompt must be a string"))?;
    drawn(call, model, prompt, call.number("n").unwrap_or(1), 0)
}

/// `POST /v1/images/edits`.
pub(super) fn image_edits(call: &Call<'_>) -> Result<Reply, Fault> {
    let form = Form::read(call)?;
    let prompt = form.text("prompt").ok_or_else(|| Fault::invalid("prompt", "prompt must be given"))?;
    let number = form.text("n").and_then(|n| n.parse().ok()).unwrap_or(1);
    drawn(call, form.text("model").as_deref(), &prompt, number, IMAGE_TOKENS)
}

fn drawn(call: &Call<'_>, model: Option<&str>, prompt: &str, number: u64, image_tokens: u64) -> Result<Reply, Fault> {
    call.model("openai", model)?;
    if !(1..=IMAGES_MAX).contains(&number) {
        return Err(Fault::invalid("n", format!("n must be from 1 to {IMAGES_MAX}")));
    }
    let image = |n| json!({"b64_json": base64(&media::png(text::mix(text::hash(prompt).wrapping_add(n))))});
    let images: Vec<Value> = (0..number).map(image).collect();
    let (text_tokens, output) = (text::count(prompt), number * IMAGE_OUTPUT_TOKENS);
    let input = text_tokens + image_tokens;
    let body = json!({"created": call.now_s, "background": "opaque", "output_format": "png", "quality": "low",
        "size": "1024x1024", "data": images, "usage": {"input_tokens": input, "output_tokens": output,
        "total_tokens": input + output, "input_tokens_details": {"text_tokens": text_tokens, "image_tokens": image_tokens}}});
    Ok(Reply::json(&body, output))
}

/// `POST /v1/audio/speech`: always a WAV file, whatever format was asked for.
pub(super) fn speech(call: &Call<'_>) -> Result<Reply, Fault> {
    call.model("openai", call.text("model"))?;
    let input = call.text("input").ok_or_else(|| Fault::invalid("input", "input must be a string"))?;
    let tokens: Vec<&str> = text::tokens(input).collect();
    let sound = media::wav(&tokens);
    let parts = sound.chunks(SPEECH_PIECE_BYTES);
    if call.text("stream_format") != Some("sse") {
        return Ok(Reply::Pieces { content_type: "audio/wav", pieces: parts.map(Bytes::copy_from_slice).collect() });
    }
    let (input, output) = (tokens.len() as u64, parts.len() as u64);
    let mut events: Vec<Value> =
        parts.map(|part| json!({"type": "speech.audio.delta", "audio": base64(part)})).collect();
    let usage = json!({"input_tokens": input, "output_tokens": output, "total_tokens": input + output});
    events.push(json!({"type": "speech.audio.done", "usage": usage}));
    let pieces = events.iter().map(|event| Bytes::from(format!("data: {event}\n\n"))).collect();
    Ok(Reply::Pieces { content_type: "text/event-stream", pieces })
}

/// `POST /v1/audio/transcriptions` (and `translations`): the text follows from the file's name.
pub(super) fn transcriptions(call: &Call<'_>) -> Result<Reply, Fault> {
    let form = Form::read(call)?;
    call.model("openai", form.text("model").as_deref())?;
    let file = form.part("file").ok_or_else(|| Fault::invalid("file", "file must be given"))?;
    let heard =
        format!("This recording, {}, was not listened to: it is {} bytes long.", file.file_name, file.body.len());
    let tenths = file.body.len() as u64 / AUDIO_BYTES_PER_TENTH + 1;
    let tokens: Vec<&str> = text::tokens(&heard).collect();
    let output = tokens.len() as u64;
    let usage = json!({"type": "duration", "seconds": tenths.div_ceil(10)});
    if form.text("stream").as_deref() == Some("true") {
        let mut events: Vec<Value> =
            tokens.iter().map(|token| json!({"type": "transcript.text.delta", "delta": token})).collect();
        events.push(json!({"type": "transcript.text.done", "text": heard, "usage": usage}));
        return Ok(Reply::events(&events));
    }
    Ok(match form.text("response_format").as_deref() {
        Some("text") => {
            Reply::Whole { content_type: "text/plain; charset=utf-8", body: Bytes::from(heard + "\n"), tokens: output }
        }
        Some("verbose_json") => {
            let seconds = tenths as f64 / 10.0;
            let segment = json!({"id": 0, "seek": 0, "start": 0.0, "end": seconds, "text": heard, "tokens": [],
                "temperature": 0.0, "avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.0});
            Reply::json(
                &json!({"task": "transcribe", "language": "english", "duration": seconds, "text": heard,
                "segments": [segment], "usage": usage}),
                output,
            )
        }
        _ => Reply::json(&json!({"text": heard, "usage": usage}), output),
    })
}

/// One part of a form.
struct Part<'a> {
    name: String,
    file_name: String,
    body: &'a [u8],
}

/// A `multipart/form-data` body.
struct Form<'a>(Vec<Part<'a>>);

impl<'a> Form<'a> {
    fn read(call: &'a Call<'_>) -> Result<Self, Fault> {
        let kind = call.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("");
        let boundary =
            kind.split_once("boundary=").map(|(_, rest)| rest.split(';').next().unwrap_or("").trim_matches('"'));
        let mark = match boundary {
            Some(boundary) if kind.starts_with("multipart/form-data") => format!("--{boundary}"),
            _ => return Err(Fault::invalid("content-type", "the body must be multipart/form-data")),
        };
        // Every part stands between two marks; the first mark has no line end before it.
        let finder = memchr::memmem::Finder::new(mark.as_bytes());
        let marks: Vec<usize> = finder.find_iter(call.body).collect();
        let parts = marks.windows(2).filter_map(|pair| Part::read(&call.body[pair[0] + mark.len()..pair[1]]));
        Ok(Self(parts.collect()))
    }

    fn part(&self, name: &str) -> Option<&Part<'a>> {
        self.0.iter().find(|part| part.name == name)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.part(name).map(|part| String::from_utf8_lossy(part.body).into_owned())
    }
}

impl<'a> Part<'a> {
    fn read(raw: &'a [u8]) -> Option<Self> {
        let end_of_head = memchr::memmem::find(raw, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&raw[..end_of_head]);
        let parameter = |name: &str| {
            let (_, rest) = head.split_once(&format!(" {name}=\""))?;
            rest.split('"').next().map(str::to_owned)
        };
        let body = raw[end_of_head + 4..].strip_suffix(b"\r\n")?;
        Some(Self { name: parameter("name")?, file_name: parameter("filename").unwrap_or_default(), body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedding_has_length_one_and_follows_from_the_text() {
        let one = embedding("a", 256);
        assert!((one.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4);
        assert_eq!(one, embedding("a", 256));
        assert_ne!(one, embedding("b", 256));
    }
}
