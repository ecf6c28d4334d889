//! Every operation of every dialect, there and back: path, body and answer unchanged, and what the ledger says of it.

use crate::calls::{
    INPUT, OUTPUT, Wire, assert_record, gemini_array, provider_of_all, responses_body, send_all, serving,
};
use crate::support::answers::{self, event};
use crate::support::client::{Body, Ended, Request};
use crate::support::gateway::{Setup, Upstream};
use crate::support::provider::{Provider, Received};
use crate::support::script::Answer;
use bytes::Bytes;
use serde_json::{Value, json};

/// One operation: what a client sends, what must arrive where, what comes back, and what the record says.
struct Call {
    name: &'static str,
    request: Request,
    /// The path at the provider; the base URLs are `/v1` for OpenAI's wire, none for the others.
    arrives_at: &'static str,
    answer: Answer,
    record: Value,
}

const REPORTED: &str = "reported";

fn counts(input: u64, output: u64) -> Value {
    let nanos = input * 1_000 + output * 2_000;
    json!({"input_tokens": input, "output_tokens": output, "cost_nanos": nanos, "usage_source": REPORTED})
}

fn form(fields: &[(&str, &[u8])]) -> (String, Bytes) {
    form_between("----boundary\u{2d}7MA4YWxk", fields)
}

/// A form with a boundary, and its content type.
pub(crate) fn form_between(boundary: &str, fields: &[(&str, &[u8])]) -> (String, Bytes) {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"").as_bytes());
        if *name == "file" || *name == "image" {
            body.extend_from_slice(b"; filename=\"a b.bin\"\r\nContent-Type: application/octet-stream");
        }
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body.into())
}

pub(crate) fn post_form(target: &str, fields: &[(&str, &[u8])]) -> Request {
    let (content_type, body) = form(fields);
    Request::new("POST", target).field("content-type", &content_type).body(Body::Length(body))
}

/// Bytes that are neither text nor JSON, with everything in them that could be taken for a form's or a stream's own.
fn sound() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.extend_from_slice(b"\r\n--boundary\r\n\r\ndata: {\"usage\":{\"prompt_tokens\":9}}\n\n{\"model\":\"other\"}");
    bytes.repeat(40)
}

fn call(name: &'static str, request: Request, arrives_at: &'static str, answer: Answer, record: Value) -> Call {
    Call { name, request, arrives_at, answer, record }
}

fn openai_text() -> Vec<Call> {
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let with_stream = |mut body: Value| {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
        body
    };
    let completion = json!({"model": "m", "prompt": "Once upon a time", "max_tokens": 5});
    let completed = json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "text": "there", "finish_reason": "stop"}], "usage": answers::chat_usage(INPUT, OUTPUT)});
    let mut chunk = completed.clone();
    chunk["usage"] = Value::Null;
    let mut last = completed.clone();
    last["choices"] = json!([]);
    let completion_stream =
        Answer::stream([answers::data(&chunk), answers::data(&last), Bytes::from_static(b"data: [DONE]\n\n")]);
    let ok = counts(INPUT, OUTPUT);
    vec![
        call(
            "chat",
            Request::post("/v1/chat/completions", &chat),
            "/v1/chat/completions",
            answers::chat("Hi", INPUT, OUTPUT),
            ok.clone(),
        ),
        call(
            "chat",
            Request::post("/v1/chat/completions", &with_stream(chat)),
            "/v1/chat/completions",
            Wire::Chat.stream(&["Hi"]),
            ok.clone(),
        ),
        call(
            "completions",
            Request::post("/v1/completions", &completion),
            "/v1/completions",
            Answer::json(200, &completed),
            ok.clone(),
        ),
        call(
            "completions",
            Request::post("/v1/completions", &with_stream(completion)),
            "/v1/completions",
            completion_stream,
            ok.clone(),
        ),
        call(
            "embeddings",
            Request::post("/v1/embeddings", &json!({"model": "m", "input": ["a", "b"]})),
            "/v1/embeddings",
            Answer::json(
                200,
                &json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -2e-3]}],
                    "model": "m", "usage": {"prompt_tokens": 8, "total_tokens": 8}}),
            ),
            counts(8, 0),
        ),
        call(
            "rerank",
            Request::post("/v1/rerank", &json!({"model": "m", "query": "q", "documents": ["a", "b"]})),
            "/v1/rerank",
            Answer::json(
                200,
                &json!({"results": [{"index": 1, "relevance_score": 0.9}], "usage": {"total_tokens": 12}}),
            ),
            counts(12, 0),
        ),
        call(
            "moderations",
            Request::post("/v1/moderations", &json!({"model": "m", "input": "text"})),
            "/v1/moderations",
            Answer::json(200, &json!({"id": "modr-1", "model": "m", "results": [{"flagged": false}]})),
            json!({"output_tokens": 0}),
        ),
    ]
}

fn openai_media() -> Vec<Call> {
    let image_usage = json!({"input_tokens": 50, "output_tokens": 60, "total_tokens": 110,
        "input_tokens_details": {"text_tokens": 50, "image_tokens": 0}});
    let image = json!({"created": 1, "data": [{"b64_json": "aGVsbG8="}], "usage": image_usage});
    let spoken = json!({"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
        "output_tokens": 7, "total_tokens": 21});
    let transcript = json!({"text": "Hello there.", "usage": spoken});
    let transcript_stream = Answer::stream([
        Bytes::from(format!("data: {}\r\n\r\n", json!({"type": "transcript.text.delta", "delta": "Hello"}))),
        Bytes::from(format!(
            "data: {}\r\n\r\n",
            json!({"type": "transcript.text.done", "text": "Hello", "usage": spoken})
        )),
        Bytes::from_static(b"data: [DONE]\r\n\r\n"),
    ]);
    let speech_stream = Answer::stream([
        event(&json!({"type": "speech.audio.delta", "audio": "AAEC"})),
        event(
            &json!({"type": "speech.audio.done", "usage": {"input_tokens": 3, "output_tokens": 9, "total_tokens": 12}}),
        ),
    ]);
    let file = sound();
    let speech = json!({"model": "m", "input": "Hello there.", "voice": "alloy"});
    let mut streamed = speech.clone();
    streamed["stream_format"] = json!("sse");
    let transcribe = |more: &[(&str, &[u8])]| {
        let fields = [&[("file", &file[..]), ("model", b"m")], more].concat();
        post_form("/v1/audio/transcriptions", &fields)
    };
    let to = "/v1/audio/transcriptions";
    vec![
        call(
            "images_generations",
            Request::post("/v1/images/generations", &json!({"model": "m", "prompt": "a cat"})),
            "/v1/images/generations",
            Answer::json(200, &image),
            counts(50, 60),
        ),
        call(
            "images_edits",
            post_form("/v1/images/edits", &[("model", b"m"), ("prompt", b"a hat"), ("image", &file)]),
            "/v1/images/edits",
            Answer::json(200, &image),
            counts(50, 60),
        ),
        call(
            "images_variations",
            post_form("/v1/images/variations", &[("image", &file), ("model", b"m")]),
            "/v1/images/variations",
            Answer::json(200, &image),
            counts(50, 60),
        ),
        call(
            "audio_speech",
            Request::post("/v1/audio/speech", &speech),
            "/v1/audio/speech",
            Answer {
                pieces: file.chunks(1000).map(Bytes::copy_from_slice).collect(),
                ..Answer::new(200, "audio/mpeg", "")
            },
            // "Hello there." takes less than a second.
            json!({"usage_source": "estimated", "stream": false, "output_tokens": 17}),
        ),
        call(
            "audio_speech",
            Request::post("/v1/audio/speech", &streamed),
            "/v1/audio/speech",
            speech_stream,
            counts(3, 9),
        ),
        call("audio_transcriptions", transcribe(&[]), to, Answer::json(200, &transcript), counts(14, 7)),
        call(
            "audio_transcriptions",
            transcribe(&[("response_format", b"text")]),
            to,
            Answer::new(200, "text/plain; charset=utf-8", "Hello there.\n"),
            json!({"usage_source": "estimated"}),
        ),
        call("audio_transcriptions", transcribe(&[("stream", b"true")]), to, transcript_stream, counts(14, 7)),
        call(
            "audio_translations",
            post_form("/v1/audio/translations", &[("file", &file), ("model", b"m")]),
            "/v1/audio/translations",
            Answer::json(200, &transcript),
            counts(14, 7),
        ),
    ]
}

fn responses() -> Vec<Call> {
    let body = json!({"model": "m", "input": "hi"});
    let mut streamed = body.clone();
    streamed["stream"] = json!(true);
    let ok = counts(INPUT, OUTPUT);
    vec![
        call(
            "responses",
            Request::post("/v1/responses", &body),
            "/v1/responses",
            Answer::json(200, &responses_body("Hi", INPUT, OUTPUT)),
            ok.clone(),
        ),
        call(
            "responses",
            Request::post("/v1/responses", &streamed),
            "/v1/responses",
            Wire::Responses.stream(&["Hi"]),
            ok.clone(),
        ),
        call(
            "responses_compact",
            Request::post("/v1/responses/compact", &body),
            "/v1/responses/compact",
            Answer::json(200, &responses_body("Hi", INPUT, OUTPUT)),
            ok,
        ),
        call(
            "responses_input_tokens",
            Request::post("/v1/responses/input_tokens", &body),
            "/v1/responses/input_tokens",
            Answer::json(200, &json!({"object": "response.input_tokens", "input_tokens": 11})),
            json!({"cost_nanos": 0, "price_missing": false}),
        ),
    ]
}

fn anthropic() -> Vec<Call> {
    let body = Wire::Messages.body("m", false);
    let ok = counts(INPUT, OUTPUT);
    vec![
        call("messages", Request::post("/v1/messages", &body), "/v1/messages", Wire::Messages.whole("Hi"), ok.clone()),
        call(
            "messages",
            Request::post("/v1/messages?beta=true", &Wire::Messages.body("m", true)),
            "/v1/messages?beta=true",
            Wire::Messages.stream(&["Hi"]),
            ok,
        ),
        call(
            "count_tokens",
            Request::post("/v1/messages/count_tokens", &body),
            "/v1/messages/count_tokens",
            Answer::json(200, &json!({"input_tokens": 2095})),
            json!({"cost_nanos": 0}),
        ),
    ]
}

fn gemini() -> Vec<Call> {
    let body = Wire::GeminiEvents.body("m", false);
    let values: Vec<Value> =
        ["a", "b", "c"].iter().zip(1..).map(|(text, n)| answers::gemini_body(text, INPUT, n, n == 3)).collect();
    let events: Vec<Bytes> = values.iter().map(|value| format!("data: {value}\r\n\r\n").into()).collect();
    let post = |action: &str, body: &Value| Request::post(&format!("/v1beta/models/m:{action}"), body);
    let content = json!({"content": {"parts": [{"text": "hi"}]}});
    let embedded = json!({"embedding": {"values": [0.25, -1.0]}, "usageMetadata": {"promptTokenCount": 2}});
    vec![
        call(
            "generate_content",
            post("generateContent", &body),
            "/v1beta/models/m:generateContent",
            Wire::GeminiEvents.whole("Hi"),
            counts(INPUT, OUTPUT),
        ),
        call(
            "stream_generate_content",
            post("streamGenerateContent?alt=sse", &body),
            "/v1beta/models/m:streamGenerateContent?alt=sse",
            Wire::GeminiEvents.stream_of(events),
            counts(INPUT, 3),
        ),
        call(
            "stream_generate_content",
            post("streamGenerateContent", &body),
            "/v1beta/models/m:streamGenerateContent",
            Wire::GeminiArray.stream_of(gemini_array(&values)),
            counts(INPUT, 3),
        ),
        call(
            "count_tokens",
            post("countTokens", &body),
            "/v1beta/models/m:countTokens",
            Answer::json(200, &json!({"totalTokens": 31})),
            json!({"cost_nanos": 0}),
        ),
        call(
            "embed_content",
            post("embedContent", &content),
            "/v1beta/models/m:embedContent",
            Answer::json(200, &embedded),
            json!({"output_tokens": 0}),
        ),
        call(
            "batch_embed_contents",
            post(
                "batchEmbedContents",
                &json!({"requests": [{"model": "models/m", "content": {"parts": [{"text": "hi"}]}}]}),
            ),
            "/v1beta/models/m:batchEmbedContents",
            Answer::json(200, &json!({"embeddings": [{"values": [1.0]}]})),
            json!({"output_tokens": 0, "usage_source": "estimated"}),
        ),
    ]
}

fn body_of(request: &Request) -> Bytes {
    match &request.body {
        Body::Length(body) => body.clone(),
        _ => Bytes::new(),
    }
}

#[tokio::test]
async fn every_operation_passes_there_and_back() {
    let calls: Vec<Call> =
        [openai_text(), openai_media(), responses(), anthropic(), gemini()].into_iter().flatten().collect();
    let answers: Vec<Answer> = calls.iter().map(|call| call.answer.clone()).collect();
    let provider = Provider::start(move |before, _: &Received| answers[before].clone()).await;
    let setup = Setup::new([
        Upstream::new("o", "openai", provider.url("/v1")),
        Upstream::new("a", "anthropic", provider.url("")),
        Upstream::new("g", "gemini", provider.url("")),
    ]);
    let (gateway, key) = serving(&setup).await;
    let requests = calls.iter().map(|call| call.request.clone().key(&key.key)).collect();
    let got = send_all(&gateway, requests, 1).await;
    let received = provider.received();
    gateway.wait_records(calls.len()).await;
    for ((call, answer), received) in calls.iter().zip(&got).zip(&received) {
        let name = call.name;
        assert_eq!((answer.status, answer.ended), (200, Ended::Whole), "{name}: {}", answer.text());
        assert!(answer.body() == call.answer.body(), "{name}: the answer was changed: {}", answer.text());
        assert_eq!(answer.field("content-type"), call.answer.fields.first().map(|(_, value)| value.as_str()), "{name}");
        assert_eq!(received.target, call.arrives_at, "{name}");
        assert!(received.body == body_of(&call.request), "{name}: the request was changed");
        let record = gateway.record_of(answer).await;
        let whole = json!({"endpoint": name, "outcome": "ok", "status": 200, "model": "m", "error_code": null});
        assert_record(&record, whole);
        assert_record(&record, call.record.clone());
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn sound_images_and_texts_that_nobody_names_go_on_and_open_no_breaker() {
    let speech = Request::post("/v1/audio/speech", &json!({"model": "m", "input": "Hello there.", "voice": "alloy"}));
    let image = Request::post("/v1/images/generations", &json!({"model": "m", "prompt": "a cat"}));
    let transcription =
        post_form("/v1/audio/transcriptions", &[("file", &sound()), ("model", b"m"), ("response_format", b"text")]);
    let unnamed = |body: &[u8]| {
        let mut answer = Answer::new(200, "", Bytes::copy_from_slice(body));
        answer.fields.retain(|(name, _)| name != "content-type");
        answer
    };
    for (request, answer) in [
        (&speech, unnamed(b"ID3\x04 and sound")),
        (&speech, unnamed(b"{ is a sample of sound, too")),
        (&image, Answer::new(200, "image/png", Bytes::from_static(b"\x89PNG\r\n\x1a\n"))),
        (&image, unnamed(b"\x89PNG\r\n\x1a\n")),
        (&transcription, unnamed("\u{4f60}\u{597d}".as_bytes())),
        (&transcription, unnamed(b"do come in")),
    ] {
        let sent = answer.body();
        let provider = Provider::always(answer).await;
        let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).set("breaker.failures_to_open", "1");
        let (gateway, key) = serving(&setup).await;
        for _ in 0..2 {
            let answer = gateway.send(&request.clone().key(&key.key)).await;
            assert_eq!((answer.status, answer.ended), (200, Ended::Whole), "{}", answer.text());
            assert_eq!(answer.body(), sent);
            assert_record(&gateway.record_of(&answer).await, json!({"outcome": "ok"}));
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_form_keeps_its_bytes_when_the_model_is_renamed() {
    let provider = Provider::always(Answer::json(200, &json!({"text": "Hi."}))).await;
    let upstream = Upstream::new("o", "openai", provider.url("/v1"))
        .models(r#"[{ name = "fast", upstream_model = "whisper-x" }]"#);
    let setup = Setup::new([upstream]).prices("[[model]]\nname = \"whisper-x\"\ninput = 1\noutput = 1\n");
    let (gateway, key) = serving(&setup).await;
    let file = sound();
    let with = |model: &[u8]| form(&[("prompt", b"fast"), ("model", model), ("file", &file), ("language", b"en")]);
    let (content_type, sent) = with(b"fast");
    let (_, expected) = with(b"whisper-x");
    for body in [Body::Length(sent.clone()), Body::Chunked(sent.clone(), 100)] {
        let request = Request::new("POST", "/v1/audio/transcriptions").field("content-type", &content_type).body(body);
        let answer = gateway.send(&request.key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = provider.received().pop().expect("a request");
        assert!(received.body == expected, "{}", String::from_utf8_lossy(&received.body));
        assert_eq!(received.field("content-type"), Some(content_type.as_str()));
        assert_eq!(received.field("content-length"), Some(expected.len().to_string().as_str()));
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_base_url_typed_twice_is_forgiven() {
    let provider = provider_of_all().await;
    let base = |path: &str| provider.url(path);
    let setup = Setup::new([
        Upstream::new("o", "openai", base("/v1")).models(r#"["o1"]"#),
        Upstream::new("oslash", "openai", base("/v1/")).models(r#"["o2"]"#),
        Upstream::new("bare", "openai-compatible", base("")).models(r#"["o3"]"#),
        Upstream::new("deep", "openai-compatible", base("/compatible-mode/v1")).models(r#"["o4"]"#),
        Upstream::new("a", "anthropic", base("")).models(r#"["a1"]"#),
        Upstream::new("av1", "anthropic", base("/v1")).models(r#"["a2"]"#),
        Upstream::new("adeep", "anthropic", base("/anthropic")).models(r#"["a3"]"#),
        Upstream::new("g", "gemini", base("")).models(r#"["g1"]"#),
        Upstream::new("gv", "gemini", base("/v1beta")).models(r#"["g2"]"#),
    ])
    .set("pricing.unknown_model", "\"allow\"");
    let (gateway, key) = serving(&setup).await;
    let ways = [
        ("/v1/v1/chat/completions", "o1", "/v1/chat/completions"),
        ("//v1//chat/completions/", "o1", "/v1/chat/completions"),
        ("/chat/completions", "o1", "/v1/chat/completions"),
        ("/v1/chat/completions", "o2", "/v1/chat/completions"),
        ("/v1/chat/completions", "o3", "/chat/completions"),
        ("/v1/v1/chat/completions", "o4", "/compatible-mode/v1/chat/completions"),
        ("/v1/v1/messages", "a1", "/v1/messages"),
        ("/v1/messages", "a2", "/v1/messages"),
        ("/anthropic/v1/messages", "a3", "/anthropic/v1/messages"),
        ("/v1beta/v1beta/models/g1:generateContent", "g1", "/v1beta/models/g1:generateContent"),
        ("/v1/models/g1:generateContent", "g1", "/v1/models/g1:generateContent"),
        ("/v1beta/models/g2:generateContent", "g2", "/v1beta/models/g2:generateContent"),
    ];
    for (sent, model, arrives_at) in ways {
        let body = json!({"model": model, "max_tokens": 5, "messages": [], "contents": []});
        let answer = gateway.send(&Request::post(sent, &body).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{sent}: {}", answer.text());
        assert_eq!(provider.received().pop().expect("a request").target, arrives_at, "{sent} for {model}");
    }
    gateway.finish(&[&key]).await;
}
