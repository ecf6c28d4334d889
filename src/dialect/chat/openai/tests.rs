//! What the dialect's pieces do, by themselves and with each other.

mod elsewhere;
mod reading;
mod requests;
mod round_trip;
mod writing;

use super::WIRE;
use crate::dialect::chat::answer::{Answer, Block};
use crate::dialect::chat::event::{Event, Sink};
use crate::dialect::chat::frames::{Frame, Frames};
use crate::dialect::chat::translation::Asked;
use crate::dialect::chat::wire::AnswerWriter;
use crate::dialect::{DialectId, Framing};
use bytes::Bytes;
use std::sync::Arc;
use tollgate_plugin_api::{Metered, Usage};

/// An answer as it came, and whether its terminal event did.
#[derive(Debug, Default, PartialEq)]
struct Got {
    answer: Answer,
    begins: usize,
    is_over: bool,
}

impl Sink for Got {
    fn event(&mut self, event: Event<'_>) {
        assert!(!self.is_over, "{event:?} comes after the end");
        self.begins += usize::from(matches!(event, Event::Begin(_)));
        assert!(
            self.begins == 1 || matches!(event, Event::Begin(_) | Event::Error(_)),
            "{event:?} comes before the beginning"
        );
        self.is_over = matches!(event, Event::End(_) | Event::Error(_));
        self.answer.event(event);
    }
}

/// Reads a stream that comes in pieces of so many bytes.
fn stream_in_pieces(said: &str, size: usize) -> Got {
    let (mut frames, mut reader, mut got) = (Frames::new(Framing::Sse), (WIRE.answer_reader)(), Got::default());
    let mut take = |frame: Frame<'_>| match frame {
        Frame::Value(name, json) => reader.event(name, json, &mut got),
        Frame::Comment | Frame::Exception(..) => Ok(()),
    };
    for piece in said.as_bytes().chunks(size) {
        frames.push(piece, &mut take).expect("it is readable");
    }
    frames.finish(&mut take).expect("it is readable");
    got
}

/// Reads a stream.
fn stream(said: &str) -> Got {
    stream_in_pieces(said, usize::MAX)
}

/// Reads a whole answer.
fn document(said: &str) -> Got {
    let mut got = Got::default();
    (WIRE.answer_reader)().document(said, &mut got).expect("it is readable");
    got
}

/// Reads chunks that each have one delta of choice 0, and then a finish reason.
fn deltas(deltas: &[&str], finish: &str) -> Vec<Block> {
    let mut said = String::new();
    for delta in deltas {
        said += &format!("data: {{\"id\":\"chatcmpl-1\",\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
    }
    said += &format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":{finish}}}]}}\n\n");
    stream(&said).answer.choices.swap_remove(0).blocks
}

fn asked(framing: Framing, body: &'static str) -> Arc<Asked> {
    Arc::new(Asked {
        client: DialectId::OpenAi,
        framing,
        include_usage: true,
        request_id: "01990000-0000-7000-8000-000000000001".to_owned(),
        started_s: 1_760_000_000,
        model: "m".to_owned(),
        body: Bytes::from_static(body.as_bytes()),
    })
}

fn writer(framing: Framing, body: &'static str) -> Box<dyn AnswerWriter> {
    WIRE.answer_writer.expect("clients speak it")(asked(framing, body))
}

/// What a client gets of these events.
fn written<'e>(body: &'static str, events: impl IntoIterator<Item = Event<'e>>) -> String {
    let (mut writer, mut out) = (writer(Framing::Sse, body), Vec::new());
    events.into_iter().for_each(|event| writer.event(&event, &mut out));
    String::from_utf8(out).expect("UTF-8")
}

fn text(piece: &str) -> Event<'_> {
    Event::Text { choice: 0, text: piece.into(), logprobs: None }
}

fn metered() -> Metered {
    let usage = Usage {
        input_tokens: 11,
        cached_input_tokens: 4,
        cache_write_tokens: 2,
        output_tokens: 12,
        reasoning_tokens: 9,
    };
    Metered { usage, ..Metered::default() }
}

fn golden(feature: &str, ending: &str) -> String {
    let file = format!("{}/tests/golden/chat/answers/{feature}/openai.{ending}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
}
