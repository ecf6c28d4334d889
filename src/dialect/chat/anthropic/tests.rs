mod answers;
mod claude_code;
mod random;
mod requests;
mod stream;

use super::answer_reader::Reader;
use super::answer_writer::Writer;
use super::request_reader::read_request;
use super::request_writer::write_request;
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::frames::{Frame, Frames};
use crate::dialect::chat::{
    Answer, AnswerReader, AnswerWriter, Asked, ChatRequest, ChatRules, Event, Inexpressible, Manner, Sink,
};
use crate::dialect::{DialectId, Framing};
use bytes::Bytes;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

fn manner(model: &str) -> Manner<'_> {
    Manner { model, output_tokens_default: 4096, asks_for_usage: false, rules: ChatRules::default() }
}

/// The request as an upstream with this model gets it, and what was left out.
fn written(request: &ChatRequest<'_>, model: &str) -> Result<(Value, Vec<Field>), Inexpressible> {
    let mut unused = Vec::new();
    let body = write_request(request, &manner(model), &mut unused)?;
    Ok((serde_json::from_slice(&body).expect("JSON"), unused))
}

fn asked(framing: Framing) -> Arc<Asked> {
    Arc::new(Asked {
        client: DialectId::Anthropic,
        framing,
        include_usage: true,
        request_id: "01990000-0000-7000-8000-000000000001".to_owned(),
        started_s: 1_760_000_000,
        model: "m".to_owned(),
        body: Bytes::new(),
    })
}

/// What a client gets of these events, in a stream.
fn streamed<'e>(events: impl IntoIterator<Item = Event<'e>>) -> String {
    let (mut writer, mut out) = (Writer::new(asked(Framing::Sse)), Vec::new());
    events.into_iter().for_each(|event| writer.event(&event, &mut out));
    String::from_utf8(out).expect("UTF-8")
}

/// Puts an answer together out of the events of a stream.
fn answer_of_stream(sse: &str) -> Answer {
    let (mut reader, mut answer) = (Reader::default(), Answer::default());
    let mut frames = Frames::new(Framing::Sse);
    let mut take = |frame: Frame<'_>| match frame {
        Frame::Value(name, json) => reader.event(name, json, &mut answer),
        Frame::Comment | Frame::Exception(..) => Ok(()),
    };
    frames.push(sse.as_bytes(), &mut take).expect("readable");
    frames.finish(&mut take).expect("readable");
    answer
}

fn answer_of_document(json: &str) -> Answer {
    let mut answer = Answer::default();
    Reader::default().document(json, &mut answer).expect("readable");
    answer
}

/// Events as text, to be compared.
#[derive(Default)]
struct Told(Vec<String>);

impl Sink for Told {
    fn event(&mut self, event: Event<'_>) {
        self.0.push(format!("{event:?}"));
    }
}

fn golden(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat").join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
