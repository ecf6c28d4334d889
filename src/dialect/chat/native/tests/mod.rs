//! What the tests of these formats share: requests as any client may send them, and answers read however they are cut.

mod recordings;

use crate::dialect::chat::answer::Answer as Whole;
use crate::dialect::chat::event::Sink;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::frames::{Frame, Frames};
use crate::dialect::chat::json::Json;
use crate::dialect::chat::request::{
    ChatRequest, Effort, Format, Media, MediaKind, Message, Options, Part, Reasoning, Role, Source, Tool, ToolCall,
    ToolChoice, ToolResult,
};
use crate::dialect::chat::wire::{ChatRules, Inexpressible, Manner, Unreadable, wire};
use crate::dialect::chat::{Event, Refusal};
use crate::dialect::usage::{Scanner, UsageRules};
use crate::dialect::{Answer, DialectId, Framing};
use bytes::Bytes;
use serde_json::Value;

/// The body that is written for a model `m`, and what was of no use.
pub(crate) fn written(
    dialect: DialectId,
    request: &ChatRequest<'_>,
    model: &str,
) -> Result<(Value, Vec<Field>), Inexpressible> {
    let manner = Manner { model, output_tokens_default: 4096, asks_for_usage: false, rules: ChatRules::default() };
    let mut unused = Vec::new();
    let body = (wire(dialect).unwrap().write_request)(request, &manner, &mut unused)?;
    Ok((serde_json::from_slice(&body).unwrap(), unused))
}

/// As [`written`], for requests of which everything is used.
pub(crate) fn body(dialect: DialectId, request: &ChatRequest<'_>) -> Value {
    let (body, unused) = written(dialect, request, "m").unwrap();
    assert_eq!(unused, []);
    body
}

pub(crate) fn check(dialect: DialectId, request: &ChatRequest<'_>, expected: &str) {
    let expected: Value = serde_json::from_str(expected).unwrap();
    assert_eq!(body(dialect, request), expected, "got {}", body(dialect, request));
}

pub(crate) fn message<'a>(role: Role, parts: Vec<Part<'a>>) -> Message<'a> {
    Message { role, name: None, parts }
}

pub(crate) fn said(text: &str) -> ChatRequest<'_> {
    ChatRequest { messages: vec![message(Role::User, vec![Part::text(text)])], ..ChatRequest::default() }
}

fn json(text: &str) -> Json<'_> {
    Json::parse(text.into()).unwrap()
}

/// Instructions, limits, sampling, stops.
pub(crate) fn plain() -> ChatRequest<'static> {
    let mut request = said("Hello");
    request.messages.insert(0, message(Role::System, vec![Part::text("Be brief.")]));
    request.options.plain =
        vec![(Field::OutputTokens, json("100")), (Field::Temperature, json("0.5")), (Field::TopP, json("0.9"))];
    request.options.stop = vec!["END".into()];
    request
}

pub(crate) fn tool() -> Tool<'static> {
    let schema = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#;
    Tool {
        name: "get_weather".into(),
        description: Some("Weather of a city".into()),
        parameters: Some(json(schema)),
        strict: None,
        cache_mark: None,
    }
}

fn call(id: &'static str, arguments: &'static str) -> Part<'static> {
    Part::ToolCall(ToolCall { id: id.into(), name: "get_weather".into(), arguments: arguments.into(), signature: None })
}

fn result(id: &'static str, text: &'static str, is_error: bool) -> Part<'static> {
    Part::ToolResult(ToolResult { id: id.into(), name: None, parts: vec![Part::text(text)], is_error })
}

/// Two calls and their results, one of them a failure.
pub(crate) fn tools() -> ChatRequest<'static> {
    let mut request = said("Weather in Paris and Rome?");
    request.tools = vec![tool()];
    let calls = vec![call("call_1", r#"{"city":"Paris"}"#), call("call_2", r#"{"city":"Rome"}"#)];
    request.messages.push(message(Role::Assistant, vec![Part::text("Let me look.")]));
    request.messages.push(message(Role::Assistant, calls));
    let results = vec![result("call_1", "18 C", false), result("call_2", "no such city", true), Part::text("And now?")];
    request.messages.push(message(Role::User, results));
    request
}

pub(crate) fn choosing(choice: ToolChoice<'static>) -> ChatRequest<'static> {
    let options = Options { tool_choice: Some(choice), ..Options::default() };
    ChatRequest { tools: vec![tool()], options, ..said("Hi") }
}

pub(crate) fn medium(kind: MediaKind, mime_type: &'static str, source: Source<'static>) -> Part<'static> {
    Part::Media(Media { kind, source, mime_type: Some(mime_type.into()), name: None, detail: None })
}

/// A question and a picture.
pub(crate) fn image(source: Source<'static>) -> ChatRequest<'static> {
    let parts = vec![Part::text("What is this?"), medium(MediaKind::Image, "image/png", source)];
    ChatRequest { messages: vec![message(Role::User, parts)], ..ChatRequest::default() }
}

pub(crate) fn png() -> Source<'static> {
    Source::Base64("iVBORw0KGgo=".into())
}

pub(crate) fn thinking(reasoning: Reasoning) -> ChatRequest<'static> {
    ChatRequest { options: Options { reasoning: Some(reasoning), ..Options::default() }, ..said("Think") }
}

pub(crate) fn effort(effort: Effort) -> ChatRequest<'static> {
    thinking(Reasoning { effort: Some(effort), ..Reasoning::default() })
}

pub(crate) fn shaped(format: Format<'static>) -> ChatRequest<'static> {
    ChatRequest { options: Options { format: Some(format), ..Options::default() }, ..said("Pick") }
}

pub(crate) fn schema() -> Format<'static> {
    Format::Schema {
        name: Some("answer".into()),
        description: None,
        schema: json(r#"{"type":"object","properties":{"n":{"type":"integer"}}}"#),
        strict: Some(true),
    }
}

/// An answer as it was read: put together, its events in words, and what it used.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Read {
    pub(crate) answer: Whole,
    pub(crate) ended: bool,
    pub(crate) counts: Option<[u64; 5]>,
    pub(crate) token: bool,
    pub(crate) whole: bool,
    pub(crate) delivered: String,
}

impl Sink for Read {
    fn event(&mut self, event: Event<'_>) {
        assert!(!self.ended, "something after the end: {event:?}");
        self.ended = matches!(event, Event::End(_) | Event::Error(_));
        self.answer.event(event);
    }
}

const KINDS: [(DialectId, Answer); 4] = [
    (DialectId::DashScope, Answer::Generation),
    (DialectId::Cohere, Answer::CohereChat),
    (DialectId::Ollama, Answer::OllamaChat),
    (DialectId::Bedrock, Answer::Converse),
];

fn read_pieces<'p>(
    dialect: DialectId,
    framing: Framing,
    pieces: impl Iterator<Item = &'p [u8]>,
) -> Result<Read, Unreadable> {
    let (_, kind) = KINDS.iter().find(|(own, _)| *own == dialect).unwrap();
    let mut scanner = Scanner::new(*kind, dialect, framing, UsageRules::default(), false);
    let (mut frames, mut reader) = (Frames::new(framing), (wire(dialect).unwrap().answer_reader)());
    let mut read = Read::default();
    let mut take = |frame: Frame<'_>| {
        match frame {
            Frame::Comment => {}
            Frame::Exception(status, words) => read.event(Event::Error(Refusal::read(status, words))),
            Frame::Value(_, json) if framing == Framing::JsonDocument => reader.document(json, &mut read)?,
            Frame::Value(name, json) => reader.event(name, json, &mut read)?,
        }
        Ok(())
    };
    for piece in pieces {
        frames.push(&scanner.push(Bytes::copy_from_slice(piece)), &mut take)?;
    }
    scanner.finish();
    frames.finish(&mut take)?;
    read.counts = scanner.metered().map(|metered| {
        let usage = metered.usage;
        let inputs = [usage.input_tokens, usage.cached_input_tokens, usage.cache_write_tokens];
        [inputs[0], inputs[1], inputs[2], usage.output_tokens, usage.reasoning_tokens]
    });
    (read.token, read.whole) = (scanner.token_seen(), scanner.is_whole());
    read.delivered = scanner.delivered().sample().into_owned();
    Ok(read)
}

/// Reads an answer, cut everywhere: it is always the same.
pub(crate) fn read(dialect: DialectId, framing: Framing, said: &[u8]) -> Read {
    let whole = read_pieces(dialect, framing, std::iter::once(said)).unwrap();
    for size in [1, 2, 3, 7, 16, 61, 255] {
        assert_eq!(read_pieces(dialect, framing, said.chunks(size)).unwrap(), whole, "pieces of {size}");
    }
    whole
}

/// Random values never panic a reader.
pub(crate) fn survives(dialect: DialectId, framing: Framing, said: &[u8]) {
    let _ = read_pieces(dialect, framing, std::iter::once(said));
}

#[test]
fn strict_tools_are_said_or_left_out() {
    let mut one = ChatRequest { tools: vec![Tool { strict: Some(true), ..tool() }], ..said("Hi") };
    for dialect in [DialectId::DashScope, DialectId::Ollama] {
        assert_eq!(written(dialect, &one, "m").unwrap().1, [Field::ToolStrict], "{dialect}");
    }
    assert_eq!(body(DialectId::Cohere, &one)["strict_tools"], true);
    assert_eq!(body(DialectId::Bedrock, &one)["toolConfig"]["tools"][0]["toolSpec"]["strict"], true);
    one.tools.push(Tool { name: "other".into(), ..tool() });
    let (said, unused) = written(DialectId::Cohere, &one, "m").unwrap();
    assert_eq!((said.get("strict_tools"), &*unused), (None, [Field::ToolStrict].as_slice()));
}

#[test]
fn what_an_answer_is_for_is_said_in_its_schema_where_there_is_no_other_place() {
    let Format::Schema { name, schema, strict, .. } = schema() else { panic!("a schema") };
    let request = shaped(Format::Schema { name, description: Some("A number".into()), schema, strict });
    assert_eq!(body(DialectId::Ollama, &request)["format"]["description"], "A number");
    let cohere = body(DialectId::Cohere, &request);
    assert_eq!(cohere["response_format"]["json_schema"]["description"], "A number");
}

#[test]
fn results_have_the_names_of_their_calls_among_very_many() {
    const COUNT: usize = 20_000;
    let ids: Vec<String> = (0..COUNT).map(|n| format!("c{n}")).collect();
    let call = |id: &String| {
        Part::ToolCall(ToolCall {
            id: id.clone().into(),
            name: format!("f{id}").into(),
            arguments: "{}".into(),
            signature: None,
        })
    };
    let result = |id: &String| {
        Part::ToolResult(ToolResult {
            id: id.clone().into(),
            name: None,
            parts: vec![Part::text("x")],
            is_error: false,
        })
    };
    let mut request = said("Hi");
    request.messages.push(message(Role::Assistant, ids.iter().map(call).collect()));
    request.messages.push(message(Role::User, ids.iter().map(result).collect()));
    let body = body(DialectId::Ollama, &request);
    let messages = body["messages"].as_array().unwrap();
    assert!(messages[2..].iter().zip(&ids).all(|(message, id)| message["tool_name"] == format!("f{id}")));
    assert_eq!(messages.len(), COUNT + 2);
}

#[test]
fn a_conversation_of_instructions_alone_is_the_users() {
    let mut request = said("Say hi.");
    request.messages[0].role = Role::System;
    let user = serde_json::json!([{"role": "user", "content": "Say hi."}]);
    assert_eq!(body(DialectId::Cohere, &request)["messages"], user);
    assert_eq!(body(DialectId::Ollama, &request)["messages"], user);
    assert_eq!(body(DialectId::DashScope, &request)["input"]["messages"], user);
}
