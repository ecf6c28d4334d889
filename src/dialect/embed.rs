//! Embeddings between OpenAI's and Gemini's dialect: texts in, vectors out, and nothing between.
//!
//! platform.openai.com/docs/api-reference/embeddings, ai.google.dev/api/embeddings (autumn of 2026). OpenAI's base64 form
//! makes `f32` of the numbers, which is what it is by definition.

use super::chat::{Json, Text, Translated, Unreadable};
use super::endpoint::Endpoint;
use super::shape::{Answer, DialectId};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Number, Value, json};
use std::borrow::Cow;
use tollgate_plugin_api::{Reject, RejectCode};

/// The most texts of one request to a dialect's upstreams. OpenAI's reference has its own; Google answers 400 to more: "at most
/// 100 requests can be in one batch".
const TEXTS_MAX: [(DialectId, usize); 2] = [(DialectId::OpenAi, 2_048), (DialectId::Gemini, 100)];

/// The dialect that these embeddings can be translated into; `None`: there is none.
pub const fn counterpart(dialect: DialectId) -> Option<DialectId> {
    match dialect {
        DialectId::OpenAi => Some(DialectId::Gemini),
        DialectId::Gemini => Some(DialectId::OpenAi),
        _ => None,
    }
}

/// A request for a vector of these words, in a dialect that has embeddings.
pub fn question(dialect: DialectId, model: &str, words: &str) -> Bytes {
    let wanted = Wanted { texts: vec![Cow::Borrowed(words)], dimensions: None, left_out: Vec::new(), base64: false };
    let written = match dialect {
        DialectId::Gemini => gemini_request(&wanted, model),
        _ => json!({"model": model, "input": wanted.texts}),
    };
    written.to_string().into()
}

/// What of a request the answer's form depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    answer: Answer,
    base64: bool,
}

/// The texts to embed, and into how many dimensions.
struct Wanted<'a> {
    texts: Vec<Cow<'a, str>>,
    dimensions: Option<Number>,
    left_out: Vec<String>,
    base64: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenAiRequest<'a> {
    #[serde(borrow)]
    input: &'a RawValue,
    dimensions: Option<Number>,
    encoding_format: Option<String>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[allow(dead_code, reason = "the caller knows it")]
    model: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct GeminiBatch<'a> {
    #[serde(borrow)]
    requests: Vec<GeminiRequest<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct GeminiRequest<'a> {
    #[allow(dead_code, reason = "the caller knows it")]
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    content: GeminiContent<'a>,
    #[serde(alias = "output_dimensionality")]
    output_dimensionality: Option<Number>,
    #[serde(borrow, alias = "task_type")]
    task_type: Option<&'a RawValue>,
    #[serde(borrow)]
    title: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GeminiContent<'a> {
    #[serde(borrow)]
    parts: Vec<GeminiPart<'a>>,
    #[allow(dead_code, reason = "it means nothing here")]
    #[serde(borrow)]
    role: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GeminiPart<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

/// Writes a request for an upstream of the other dialect.
///
/// # Errors
/// `INVALID_REQUEST`: what cannot be read, or said there (token ids, images).
pub fn translate_request(client: &Endpoint, body: &str, model: &str) -> Result<(Translated, Shape), Reject> {
    let wanted = match client.answer {
        Answer::Embeddings => openai_wanted(body)?,
        Answer::BatchEmbedContents => gemini_wanted(read::<GeminiBatch<'_>>(body)?.requests)?,
        _ => gemini_wanted(vec![read::<GeminiRequest<'_>>(body)?])?,
    };
    let target = TEXTS_MAX.iter().find(|(dialect, _)| *dialect != client.dialect);
    if let Some((target, most)) = target.filter(|(_, most)| !(1..=*most).contains(&wanted.texts.len())) {
        let field = if client.dialect == DialectId::OpenAi { "input" } else { "requests" };
        let texts = wanted.texts.len();
        let what = format!(
            "`{field}`: {texts} texts to embed; the provider of this model, which speaks {target}, takes 1 to {most}"
        );
        return Err(Reject::new(RejectCode::InvalidRequest).message(what).param(field));
    }
    let written = if client.dialect == DialectId::OpenAi {
        gemini_request(&wanted, model)
    } else {
        json!({"model": model, "input": wanted.texts, "encoding_format": "float", "dimensions": wanted.dimensions})
    };
    let shape = Shape { answer: client.answer, base64: wanted.base64 };
    let body = without_nulls(written).to_string().into();
    Ok((Translated { body, left_out: wanted.left_out, has_media: false, repeated: Bytes::new() }, shape))
}

fn read<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, Reject> {
    serde_json::from_str(body).map_err(|error| {
        let words = error.to_string();
        let what = words.split(" at line ").next().unwrap_or_default();
        Reject::new(RejectCode::InvalidRequest)
            .message(format!("The request cannot be translated for the provider of this model: {what}"))
    })
}

fn openai_wanted(body: &str) -> Result<Wanted<'_>, Reject> {
    let request: OpenAiRequest<'_> = read(body).map_err(|refusal| refusal.param("input"))?;
    let texts = openai_texts(request.input)?;
    let base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            let refusal = Reject::new(RejectCode::InvalidRequest).param("encoding_format");
            return Err(refusal.message("`encoding_format`: expected \"float\" or \"base64\""));
        }
    };
    let left_out = request.user.map(|_| "user".to_owned()).into_iter().collect();
    Ok(Wanted { texts, dimensions: request.dimensions, left_out, base64 })
}

/// A text or a list of texts.
fn openai_texts(input: &RawValue) -> Result<Vec<Cow<'_, str>>, Reject> {
    let wrong = |what: &str| Reject::new(RejectCode::InvalidRequest).message(what).param("input");
    if input.get().starts_with('"') {
        return Ok(vec![text_of(input).ok_or_else(|| wrong("`input`: is no text that can be read"))?]);
    }
    let items: Vec<&RawValue> =
        serde_json::from_str(input.get()).map_err(|_| wrong("`input`: expected a text or a list of texts"))?;
    let is_number = |value: &str| value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let is_token_ids = |item: &&RawValue| is_number(item.get()) || item.get().starts_with('[');
    if items.iter().any(is_token_ids) {
        return Err(wrong(
            "`input`: token ids cannot be translated for the provider of this model, which knows other ones: send the text itself",
        ));
    }
    let mut texts = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        texts.push(text_of(item).ok_or_else(|| wrong(&format!("`input[{index}]`: expected a text")))?);
    }
    Ok(texts)
}

fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(value.get()).map(|text| text.0).ok()
}

fn gemini_wanted(requests: Vec<GeminiRequest<'_>>) -> Result<Wanted<'_>, Reject> {
    let mut left_out = Vec::new();
    let mut leave = |name: &str, is_set: bool| {
        if is_set && !left_out.iter().any(|own| own == name) {
            left_out.push(name.to_owned());
        }
    };
    let mut dimensions: Option<Number> = None;
    let mut texts = Vec::with_capacity(requests.len());
    for (index, request) in requests.into_iter().enumerate() {
        leave("taskType", request.task_type.is_some());
        leave("title", request.title.is_some());
        let own = request.output_dimensionality;
        if index > 0 && own != dimensions {
            let refusal = Reject::new(RejectCode::InvalidRequest).param("requests.outputDimensionality");
            return Err(refusal.message("`outputDimensionality` must be the same in all requests of the batch"));
        }
        dimensions = own;
        let mut parts = request.content.parts.into_iter().map(|part| part.text.0);
        let first = parts.next().unwrap_or_default();
        texts.push(parts.fold(first, |text, part| text + part));
    }
    Ok(Wanted { texts, dimensions, left_out, base64: false })
}

fn gemini_request(wanted: &Wanted<'_>, model: &str) -> Value {
    let model = if model.contains('/') { model.to_owned() } else { format!("models/{model}") };
    let request = |text: &Cow<'_, str>| {
        without_nulls(json!({"model": model, "content": {"parts": [{"text": text}]},
            "outputDimensionality": wanted.dimensions}))
    };
    json!({"requests": wanted.texts.iter().map(request).collect::<Vec<_>>()})
}

/// Without the members that nothing was said about.
fn without_nulls(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.retain(|_, member| !member.is_null());
    }
    value
}

#[derive(Deserialize)]
struct OpenAiAnswer<'a> {
    #[serde(borrow)]
    data: Vec<OpenAiVector<'a>>,
}

#[derive(Deserialize)]
struct OpenAiVector<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

#[derive(Deserialize)]
struct GeminiAnswer<'a> {
    #[serde(borrow)]
    embeddings: Vec<GeminiVector<'a>>,
}

#[derive(Deserialize)]
struct GeminiVector<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
}

/// The answer for the client; `input_tokens`: what the prompt is said or thought to have.
///
/// # Errors
/// The upstream's answer is not what its dialect says.
pub fn translate_answer(body: &str, shape: Shape, model: &str, input_tokens: u64) -> Result<Bytes, Unreadable> {
    let answer = if shape.answer == Answer::Embeddings {
        let answer: GeminiAnswer<'_> = serde_json::from_str(body)?;
        let vector = |(index, vector): (usize, GeminiVector<'_>)| {
            let embedding = if shape.base64 { base64_of(vector.values)? } else { Json::raw(vector.values).value() };
            Ok(json!({"object": "embedding", "index": index, "embedding": embedding}))
        };
        let data: Vec<Value> =
            answer.embeddings.into_iter().enumerate().map(vector).collect::<Result<_, Unreadable>>()?;
        json!({"object": "list", "data": data, "model": model,
            "usage": {"prompt_tokens": input_tokens, "total_tokens": input_tokens}})
    } else {
        let mut answer: OpenAiAnswer<'_> = serde_json::from_str(body)?;
        answer.data.sort_by_key(|vector| vector.index);
        let vectors: Vec<Value> =
            answer.data.iter().map(|vector| json!({"values": Json::raw(vector.embedding).value()})).collect();
        let usage = json!({"promptTokenCount": input_tokens});
        match (shape.answer, vectors.into_iter()) {
            (Answer::EmbedContent, mut vectors) => {
                let first = vectors.next().ok_or_else(|| Unreadable::new("the answer has no vector"))?;
                json!({"embedding": first, "usageMetadata": usage})
            }
            (_, vectors) => json!({"embeddings": vectors.collect::<Vec<_>>(), "usageMetadata": usage}),
        }
    };
    Ok(answer.to_string().into())
}

/// Little-endian `f32`s in base64, as OpenAI's SDKs ask for.
fn base64_of(values: &RawValue) -> Result<Value, Unreadable> {
    let floats: Vec<f32> = serde_json::from_str(values.get())?;
    let bytes: Vec<u8> = floats.into_iter().flat_map(f32::to_le_bytes).collect();
    Ok(Value::from(STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::endpoint::ENDPOINTS;

    fn endpoint(name: &str) -> &'static Endpoint {
        ENDPOINTS.iter().find(|row| row.name == name).expect("it is there")
    }

    fn request(name: &str, body: &str) -> (Value, Vec<String>, Shape) {
        let (translated, shape) = translate_request(endpoint(name), body, "m").expect("it is taken");
        (serde_json::from_slice(&translated.body).expect("JSON"), translated.left_out, shape)
    }

    #[test]
    fn openais_requests_and_geminis_answers() {
        let (sent, left_out, shape) = request(
            "embeddings",
            r#"{"model":"x","input":["a","b"],"dimensions":2,"encoding_format":"base64","user":"u"}"#,
        );
        let one =
            |text| json!({"model": "models/m", "content": {"parts": [{"text": text}]}, "outputDimensionality": 2});
        assert_eq!(sent, json!({"requests": [one("a"), one("b")]}));
        assert_eq!(left_out, ["user"]);
        let body = r#"{"embeddings":[{"values":[1.0,-0.5]},{"values":[0,2]}]}"#;
        let got: Value = serde_json::from_slice(&translate_answer(body, shape, "m", 7).unwrap()).unwrap();
        assert_eq!(got["data"][0], json!({"object": "embedding", "index": 0, "embedding": "AACAPwAAAL8="}));
        assert_eq!(got["usage"], json!({"prompt_tokens": 7, "total_tokens": 7}));
        let (_, _, shape) = request("embeddings", r#"{"input":"a"}"#);
        let got: Value = serde_json::from_slice(&translate_answer(body, shape, "m", 7).unwrap()).unwrap();
        assert_eq!(got["data"][1]["embedding"], json!([0, 2]));
    }

    #[test]
    fn geminis_requests_and_openais_answers() {
        let body = r#"{"content":{"parts":[{"text":"a"},{"text":"b"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":2}"#;
        let (sent, left_out, shape) = request("embed_content", body);
        assert_eq!(sent, json!({"model": "m", "input": ["ab"], "encoding_format": "float", "dimensions": 2}));
        assert_eq!(left_out, ["taskType"]);
        let answer = r#"{"data":[{"index":1,"embedding":[3]},{"index":0,"embedding":[1.50]}]}"#;
        let got = translate_answer(answer, shape, "m", 7).unwrap();
        assert_eq!(got, r#"{"embedding":{"values":[1.5]},"usageMetadata":{"promptTokenCount":7}}"#);
        let batch = r#"{"requests":[{"model":"models/x","content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]}}]}"#;
        let (sent, _, shape) = request("batch_embed_contents", batch);
        assert_eq!(sent["input"], json!(["a", "b"]));
        let got = translate_answer(answer, shape, "m", 7).unwrap();
        assert_eq!(got, r#"{"embeddings":[{"values":[1.5]},{"values":[3]}],"usageMetadata":{"promptTokenCount":7}}"#);
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for (name, body) in [
            ("embeddings", r#"{"input":[1,2]}"#),
            ("embeddings", r#"{"input":[]}"#),
            ("embeddings", r#"{"input":"a","encoding_format":"int8"}"#),
            ("embeddings", r#"{"input":"a","input_type":"query"}"#),
            ("embed_content", r#"{"content":{"parts":[{"inlineData":{}}]}}"#),
        ] {
            let refusal = translate_request(endpoint(name), body, "m").expect_err(body);
            assert_eq!(refusal.code, RejectCode::InvalidRequest, "{body}");
        }
        for (input, expected) in [
            ("[1,2]", "`input`: token ids cannot be translated"),
            ("[[1,2],[3]]", "`input`: token ids cannot be translated"),
            (r#"["a",{"text":"b"}]"#, "`input[1]`: expected a text"),
            ("7", "`input`: expected a text or a list of texts"),
            ("null", "`input`: expected a text or a list of texts"),
        ] {
            let body = format!(r#"{{"input":{input}}}"#);
            let refusal = translate_request(endpoint("embeddings"), &body, "m").expect_err(input);
            assert_eq!(
                (refusal.code, refusal.param.as_deref()),
                (RejectCode::InvalidRequest, Some("input")),
                "{input}"
            );
            assert!(refusal.message.as_deref().is_some_and(|message| message.starts_with(expected)), "{refusal:?}");
        }
        assert!(translate_answer("{}", Shape { answer: Answer::Embeddings, base64: false }, "m", 1).is_err());
    }

    #[test]
    fn no_more_texts_are_sent_than_the_provider_takes() {
        let refused = |name: &str, body: &str| translate_request(endpoint(name), body, "m").err();
        for (name, most) in [("embeddings", 100), ("batch_embed_contents", 2_048)] {
            let body = |texts: usize| match name {
                "embeddings" => json!({"input": vec!["a"; texts]}).to_string(),
                _ => json!({"requests": vec![json!({"content": {"parts": [{"text": "a"}]}}); texts]}).to_string(),
            };
            assert!(refused(name, &body(most)).is_none(), "{name}");
            for texts in [0, most + 1] {
                let refusal = refused(name, &body(texts)).expect("it cannot be sent");
                let field = if name == "embeddings" { "input" } else { "requests" };
                assert_eq!((refusal.code, refusal.param.as_deref()), (RejectCode::InvalidRequest, Some(field)));
                assert!(refusal.message.is_some_and(|message| message.contains(&format!("1 to {most}"))), "{name}");
            }
        }
    }

    #[test]
    fn dimensions_that_are_no_number_are_refused_however_deep_they_are() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for wrong in ["\"2\"", "[2]", &deep] {
            let endpoint = |answer: Answer| ENDPOINTS.iter().find(|row| row.answer == answer).unwrap();
            let openai = format!(r#"{{"model":"x","input":"a","dimensions":{wrong}}}"#);
            assert!(translate_request(endpoint(Answer::Embeddings), &openai, "m").is_err(), "{wrong}");
            let gemini = format!(r#"{{"content":{{"parts":[{{"text":"a"}}]}},"outputDimensionality":{wrong}}}"#);
            assert!(translate_request(endpoint(Answer::EmbedContent), &gemini, "m").is_err(), "{wrong}");
        }
    }
}
