//! Reader and writer against each other, and against Google's own answers.

mod answers;
mod conversations;
mod recordings;
mod requests;
mod round_trips;

use super::WIRE;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::{Answer, Asked, ChatRequest, ChatRules, Event, Inexpressible, Manner, Sink};
use crate::dialect::{DialectId, Framing};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use tollgate_plugin_api::Reject;

fn read(body: &str) -> Result<ChatRequest<'_>, Reject> {
    (WIRE.read_request.expect("clients speak it"))(body)
}

fn read_well(body: &str) -> ChatRequest<'_> {
    read(body).unwrap_or_else(|refusal| panic!("{body}: {refusal:?}"))
}

/// The field that a body is refused for.
fn refused(body: &str) -> String {
    read(body).expect_err(body).param.unwrap_or_default()
}

fn write(request: &ChatRequest<'_>, model: &str) -> Result<(Value, Vec<Field>), Inexpressible> {
    let manner = Manner { model, output_tokens_default: 1, asks_for_usage: false, rules: ChatRules::default() };
    let mut unused = Vec::new();
    let body = (WIRE.write_request)(request, &manner, &mut unused)?;
    Ok((serde_json::from_slice(&body).expect("JSON"), unused))
}

/// What a body becomes when it is read and written again.
fn again(body: &str) -> Value {
    write(&read_well(body), "gemini-3.5-flash").expect("it can be written").0
}

fn asked(framing: Framing) -> Arc<Asked> {
    Arc::new(Asked {
        client: DialectId::Gemini,
        framing,
        include_usage: true,
        request_id: "r1".to_owned(),
        started_s: 1_760_000_000,
        model: "m".to_owned(),
        body: Bytes::new(),
    })
}

/// The events as a client gets them.
fn stream(events: &[Event<'_>], framing: Framing) -> String {
    let mut writer = (WIRE.answer_writer.expect("clients speak it"))(asked(framing));
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.event(event, &mut out));
    String::from_utf8(out).expect("UTF-8")
}

/// The events' data.
fn values(events: &[Event<'_>]) -> Vec<Value> {
    let said = stream(events, Framing::Sse);
    let data = said.split("\r\n\r\n").filter_map(|event| event.strip_prefix("data: "));
    data.map(|json| serde_json::from_str(json).expect("JSON")).collect()
}

/// The answer that these events' data make.
fn answer_of<'j>(events: impl IntoIterator<Item = &'j str>) -> Answer {
    let (mut answer, mut reader) = (Answer::default(), (WIRE.answer_reader)());
    events.into_iter().for_each(|json| reader.event("", json, &mut answer).expect("it is readable"));
    reader.end(&mut answer);
    answer
}

/// Keeps what is delivered.
#[derive(Default)]
struct Kept(Vec<String>);

impl Sink for Kept {
    fn event(&mut self, event: Event<'_>) {
        self.0.push(format!("{event:?}"));
    }
}
