mod random;
mod reading;
mod recordings;
mod requests;
mod writing;

use super::answer_reader;
use crate::dialect::chat::frames::{Frame, Frames};
use crate::dialect::chat::{Answer, Asked, Event, Sink};
use crate::dialect::{DialectId, Framing};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;

/// Anything that takes events as they stand.
struct Seen(Vec<String>);

impl Sink for Seen {
    fn event(&mut self, event: Event<'_>) {
        self.0.push(format!("{event:?}"));
    }
}

/// Reads an upstream's answer that comes in pieces of `size` bytes.
fn read_into(said: &str, framing: Framing, size: usize, sink: &mut dyn Sink) {
    let (mut reader, mut frames) = (answer_reader::new(), Frames::new(framing));
    let mut take = |frame: Frame<'_>| match frame {
        Frame::Comment | Frame::Exception(..) => Ok(()),
        Frame::Value(_, json) if framing == Framing::JsonDocument => reader.document(json, sink),
        Frame::Value(name, json) => reader.event(name, json, sink),
    };
    for piece in said.as_bytes().chunks(size) {
        frames.push(piece, &mut take).expect("it is readable");
    }
    frames.finish(&mut take).expect("it is readable");
}

fn answer_to(said: &str, framing: Framing) -> Answer {
    let mut answer = Answer::default();
    read_into(said, framing, usize::MAX, &mut answer);
    answer
}

fn golden(feature: &str, ending: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat/answers");
    std::fs::read_to_string(folder.join(feature).join(format!("openai-responses.{ending}"))).expect("a golden answer")
}

fn asked(framing: Framing, body: &'static str) -> Arc<Asked> {
    Arc::new(Asked {
        client: DialectId::OpenAiResponses,
        framing,
        include_usage: true,
        request_id: "01990000-0000-7000-8000-000000000001".to_owned(),
        started_s: 1_760_000_000,
        model: "m".to_owned(),
        body: Bytes::from_static(body.as_bytes()),
    })
}
