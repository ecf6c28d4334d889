use super::{ListedModel, Tail, model, model_list, reject_body, stream_error_event};
use crate::dialect::{DialectId, Framing};
use proptest::prelude::*;
use serde_json::Value;
use tollgate_plugin_api::{Reject, RejectCode};

use DialectId::{Anthropic, Gemini, OpenAi, OpenAiResponses};

fn text(bytes: bytes::Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
#[rustfmt::skip]
fn refusals_have_the_dialects_shape() {
    let quota = Reject::new(RejectCode::QuotaInsufficient);
    for (dialect, expected) in [
        (OpenAi, r#"{"error":{"message":"Insufficient quota","type":"insufficient_quota","code":"QUOTA_INSUFFICIENT","param":null}}"#),
        (OpenAiResponses, r#"{"error":{"message":"Insufficient quota","type":"insufficient_quota","code":"QUOTA_INSUFFICIENT","param":null}}"#),
        (Anthropic, r#"{"type":"error","error":{"type":"billing_error","message":"Insufficient quota (QUOTA_INSUFFICIENT)"},"request_id":"r1"}"#),
        (Gemini, r#"{"error":{"code":402,"message":"Insufficient quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"QUOTA_INSUFFICIENT","domain":"tollgate"}]}}"#),
    ] {
        assert_eq!(text(reject_body(dialect, &quota, "r1")), expected);
    }
    let odd = Reject::new(RejectCode::InvalidRequest).message("a \"b\"\n\u{1}").param("x\"y").retry_after_s(3);
    for dialect in DialectId::ALL {
        let body: Value = serde_json::from_slice(&reject_body(dialect, &odd, "r\"1")).unwrap();
        assert!(body["error"]["message"].as_str().unwrap().starts_with("a \"b\"\n\u{1}"));
    }
    let body: Value = serde_json::from_slice(&reject_body(Gemini, &odd, "r1")).unwrap();
    assert_eq!(body["error"]["details"][1]["fieldViolations"][0]["field"], "x\"y");
    assert_eq!(body["error"]["details"][2]["retryDelay"], "3s");
    let body: Value = serde_json::from_slice(&reject_body(OpenAi, &odd, "r1")).unwrap();
    assert_eq!(body["error"]["param"], "x\"y");
}

#[test]
#[rustfmt::skip]
fn lists_of_models_have_the_dialects_shape() {
    let listed = |id: &str| ListedModel { id: id.into(), owned_by: "openai".into() };
    let models = [listed("gpt-4o"), listed("text-embedding-3-small")];
    for (dialect, expected) in [
        (OpenAi, r#"{"object":"list","data":[{"id":"gpt-4o","object":"model","created":0,"owned_by":"openai"},{"id":"text-embedding-3-small","object":"model","created":0,"owned_by":"openai"}]}"#),
        (Anthropic, r#"{"data":[{"type":"model","id":"gpt-4o","display_name":"gpt-4o","created_at":"1970-01-01T00:00:00Z"},{"type":"model","id":"text-embedding-3-small","display_name":"text-embedding-3-small","created_at":"1970-01-01T00:00:00Z"}],"has_more":false,"first_id":"gpt-4o","last_id":"text-embedding-3-small"}"#),
        (Gemini, r#"{"models":[{"name":"models/gpt-4o","version":"","displayName":"gpt-4o","supportedGenerationMethods":["generateContent","streamGenerateContent","countTokens"]},{"name":"models/text-embedding-3-small","version":"","displayName":"text-embedding-3-small","supportedGenerationMethods":["embedContent","batchEmbedContents","countTokens"]}]}"#),
    ] {
        assert_eq!(text(model_list(dialect, &models)), expected);
        let list: Value = serde_json::from_str(expected).unwrap();
        let items = if dialect == Gemini { &list["models"] } else { &list["data"] };
        assert_eq!(serde_json::from_slice::<Value>(&model(dialect, &models[1])).unwrap(), items[1]);
    }
    assert_eq!(text(model_list(OpenAi, &[])), r#"{"object":"list","data":[]}"#);
    assert_eq!(text(model_list(Anthropic, &[])), r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#);
    let odd = listed("tunedModels/\"x");
    assert_eq!(serde_json::from_slice::<Value>(&model(Gemini, &odd)).unwrap()["name"], "tunedModels/\"x");
}

/// What we say at the end of a stream. It may begin with the rest of a character.
fn end_bytes<'a>(dialect: DialectId, framing: Framing, cut: impl Into<super::Stopped<'a>>) -> Vec<u8> {
    stream_error_event(dialect, framing, "gone", "UPSTREAM_BROKE_OFF", "r1", cut).to_vec()
}

fn end<'a>(dialect: DialectId, framing: Framing, cut: impl Into<super::Stopped<'a>>) -> String {
    String::from_utf8(end_bytes(dialect, framing, cut)).unwrap()
}

#[test]
fn a_stream_that_broke_between_events_gets_one_more() {
    let openai = r#"{"error":{"message":"gone","type":"server_error","code":"UPSTREAM_BROKE_OFF","param":null}}"#;
    assert_eq!(end(OpenAi, Framing::Sse, true), format!("data: {openai}\n\n"));
    assert_eq!(end(OpenAi, Framing::NdJson, true), format!("{openai}\n"));
    assert_eq!(
        end(OpenAiResponses, Framing::Sse, true),
        format!(
            "event: error\ndata: {{\"type\":\"error\",\"sequence_number\":2147483647,\"code\":\"UPSTREAM_BROKE_OFF\",\"message\":\"gone\",\"param\":null,{}\n\n",
            &openai[1..]
        )
    );
    assert_eq!(
        end(Anthropic, Framing::Sse, true),
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"gone (UPSTREAM_BROKE_OFF)\"},\"request_id\":\"r1\"}\n\n"
    );
    let gemini = r#"{"error":{"code":503,"message":"gone","status":"UNAVAILABLE","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"UPSTREAM_BROKE_OFF","domain":"tollgate"}]}}"#;
    assert_eq!(end(Gemini, Framing::Sse, true), format!("data: {gemini}\n\n: the stream was broken off\n"));
    assert_eq!(end(Gemini, Framing::JsonArray, true), format!(",\n{gemini}\n]"));
    for framing in [Framing::JsonDocument, Framing::Opaque] {
        assert_eq!(end(OpenAi, framing, false), "");
    }
    let late = text(stream_error_event(Gemini, Framing::JsonArray, "m", "UPSTREAM_TIMEOUT", "r1", true));
    assert!(late.contains(r#""code":504,"message":"m","status":"DEADLINE_EXCEEDED""#));
}

#[test]
fn an_unknown_half_is_ended_before_our_event() {
    assert!(end(OpenAi, Framing::Sse, false).starts_with("\n\ndata: {\"error\""));
    assert!(end(Anthropic, Framing::Sse, false).starts_with("\nevent: ping\n\nevent: error\ndata: "));
    let half = "event: content_block_delta\ndata: {\"delta\":{\"te";
    let events = events(&format!("{half}{}", end(Anthropic, Framing::Sse, false)));
    assert_eq!(events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["ping", "error"]);
}

/// An event as the WHATWG's algorithm dispatches it.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Event {
    name: String,
    data: String,
}

/// The WHATWG's event stream interpretation, without `id` and `retry`.
fn events(stream: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let (mut name, mut data) = (String::new(), String::new());
    let unified = stream.replace("\r\n", "\n").replace('\r', "\n");
    let Some((complete, _)) = unified.rsplit_once('\n') else { return events };
    for line in complete.split('\n') {
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                events.push(Event { name: std::mem::take(&mut name), data: std::mem::take(&mut data) });
            }
            name.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value.to_owned(),
            "data" => {
                data.push_str(value);
                data.push('\n');
            }
            _ => {}
        }
    }
    events
}

/// What an official SDK makes of an event.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    Delivered,
    Skipped,
    Raised,
}

/// As OpenAI's, Anthropic's and Google's Python SDKs read events: all data is parsed first, an error raised before anything of
/// the event is delivered. Panics where they would raise a JSON error.
fn sdk(dialect: DialectId, event: &Event) -> Read {
    if dialect == Anthropic && event.name == "ping" {
        return Read::Skipped;
    }
    let data: Value = serde_json::from_str(&event.data).unwrap_or_else(|error| panic!("{error}: {event:?}"));
    let raises = match dialect {
        Anthropic => event.name == "error",
        Gemini => event.data.trim_start().starts_with("{\"error\":"),
        _ => data["error"].is_object(),
    };
    if raises {
        assert!(data["error"]["message"].as_str().unwrap().starts_with("gone"), "{event:?}");
        if dialect == OpenAiResponses || dialect == Anthropic {
            assert_eq!((event.name.as_str(), data["type"].as_str()), ("error", Some("error")));
        }
        return Read::Raised;
    }
    Read::Delivered
}

const OPENAI_STREAM: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\u{e9} \\\"\\u00e9\\ud834\\udd1e {[\"},\"finish_reason\":null}],\"usage\":null}\n\n: ping\n\ndata: {\"choices\":[],\"n\":-1.5e+3,\"t\":true}\n\n";
const NAMED_STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":12}}}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\nid: 7\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"日本 𝄞\"}}\n\n";
const GEMINI_STREAM: &str = "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"a\\nb\"}]}}],\"usageMetadata\": {\"promptTokenCount\": 8}}\r\n\r\ndata:{\"candidates\":[]}\r\n\r\n";

/// Every way to cut a stream: what came before is delivered as ever, the half event is never delivered (in Gemini's dialect:
/// only as valid JSON), and the client's SDK raises our error.
fn check_cut(dialect: DialectId, stream: &str, cut: usize, piece: usize) {
    let mut tail = Tail::new(Framing::Sse);
    let sent = &stream.as_bytes()[..cut];
    sent.chunks(piece).for_each(|piece| tail.push(piece));
    let ended = [sent, &end_bytes(dialect, Framing::Sse, &tail)].concat();
    let ended = String::from_utf8(ended).unwrap_or_else(|error| panic!("{dialect} {cut}: {error}"));
    let got = events(&ended);

    let whole = events(stream);
    // Lines that are all there but for their end count as there.
    let before = (0..=whole.len()).rev().find(|&count| got.starts_with(&whole[..count])).unwrap();
    let sent_whole = events(&String::from_utf8_lossy(sent)).len();
    assert!(before >= sent_whole, "{dialect} {cut}: lost an event: {ended:?}");
    let reads: Vec<Read> = got.iter().map(|event| sdk(dialect, event)).collect();
    assert_eq!(reads.last(), Some(&Read::Raised), "{dialect} {cut}: {ended:?}");
    let raised = reads.iter().position(|read| *read == Read::Raised).unwrap();
    assert_eq!(raised, reads.len() - 1, "{dialect} {cut}: more than one error: {ended:?}");
    let halves = raised - before;
    assert!(halves <= usize::from(dialect == Gemini), "{dialect} {cut}: a half was delivered: {ended:?}");
}

#[test]
fn streams_cut_anywhere_end_in_an_error() {
    for (dialect, stream) in [
        (OpenAi, OPENAI_STREAM),
        (OpenAi, NAMED_STREAM),
        (OpenAiResponses, NAMED_STREAM),
        (Anthropic, NAMED_STREAM),
        (Gemini, GEMINI_STREAM),
    ] {
        for stream in [
            stream.to_owned(),
            stream.replace("\r\n", "\n").replace('\n', "\r\n"),
            stream.replace("\r\n", "\n").replace('\n', "\r"),
        ] {
            for cut in 0..=stream.len() {
                check_cut(dialect, &stream, cut, usize::MAX);
                check_cut(dialect, &stream, cut, 1);
                check_cut(dialect, &stream, cut, 7);
            }
        }
    }
}

#[test]
fn halves_that_are_not_json_are_ended() {
    for (stream, expected) in [
        ("data: [DO", "\n\ndata: {"),
        ("data: {\"a\":1}\ndata: {\"b", "\n\ndata: {"),
        ("data", ": {\"error\""),
        ("event: x", "\nevent: error\ndata: {"),
        ("retry: 1", "\ndata: {"),
        ("da", "ta: {\"error\""),
        ("ev", "x\ndata: {"),
        ("data:", " {\"error\""),
    ] {
        let mut tail = Tail::new(Framing::Sse);
        tail.push(stream.as_bytes());
        let end = end(OpenAi, Framing::Sse, &tail);
        assert!(end.starts_with(expected), "{stream}: {end}");
    }
}

#[test]
fn arrays_and_lines_cut_anywhere_stay_json() {
    let array = "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"日\"}]}}]}\n,\r\n{\"usageMetadata\":{\"promptTokenCount\":8}}\n]";
    for cut in 0..array.len() {
        let mut tail = Tail::new(Framing::JsonArray);
        array.as_bytes()[..cut].chunks(3).for_each(|piece| tail.push(piece));
        let ended = [&array.as_bytes()[..cut], &end_bytes(Gemini, Framing::JsonArray, &tail)].concat();
        let ended: Value = serde_json::from_slice(&ended)
            .unwrap_or_else(|error| panic!("{cut}: {error}: {}", String::from_utf8_lossy(&ended)));
        let elements = ended.as_array().unwrap();
        assert!(elements.iter().all(Value::is_object), "{cut}: {ended}");
        assert_eq!(elements.last().unwrap()["error"]["code"], 503, "{cut}");
    }
    let mut tail = Tail::new(Framing::JsonArray);
    tail.push(array.as_bytes());
    assert_eq!(end(Gemini, Framing::JsonArray, &tail), "");

    let lines = "{\"message\":{\"content\":\"a\"}}\n{\"done\":true}\n";
    for cut in 0..=lines.len() {
        let mut tail = Tail::new(Framing::NdJson);
        tail.push(&lines.as_bytes()[..cut]);
        let ended = format!("{}{}", &lines[..cut], end(OpenAi, Framing::NdJson, &tail));
        let values: Vec<Value> = ended.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(values.last().unwrap()["error"]["message"], "gone", "{cut}");
    }
}

proptest! {
    #[test]
    fn any_pieces_give_the_same_end(stream in "([a-z :{}\\[\\]\",\\\\\r\n]|data: |event: |\n\n){0,40}", cut in 1_usize..9) {
        let (mut whole, mut pieces) = (Tail::new(Framing::Sse), Tail::new(Framing::Sse));
        whole.push(stream.as_bytes());
        stream.as_bytes().chunks(cut).for_each(|piece| pieces.push(piece));
        for dialect in DialectId::ALL {
            let ended = end(dialect, Framing::Sse, &whole);
            prop_assert_eq!(&ended, &end(dialect, Framing::Sse, &pieces));
            let all = events(&format!("{stream}{ended}"));
            let last = all.last().unwrap();
            prop_assert!(serde_json::from_str::<Value>(&last.data).is_ok(), "{:?}", last);
        }
    }
}

#[test]
fn anthropics_sdk_is_told_that_no_conversation_is_kept() {
    let details = |param: &str| {
        let refusal = Reject::new(RejectCode::InvalidRequest).param(param);
        let body: Value = serde_json::from_slice(&reject_body(DialectId::Anthropic, &refusal, "r1")).unwrap();
        body["error"]["details"]["error_code"].clone()
    };
    assert_eq!(details("thread"), "thread_unsupported_request");
    assert_eq!(details("tools"), Value::Null);
}
