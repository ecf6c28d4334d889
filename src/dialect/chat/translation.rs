//! The translation of one exchange's answer, as it comes; its request is written in `translated`.

use super::answer::Answer;
use super::error::Refusal;
use super::event::{Event, Sink};
use super::frames::{Frame, Frames};
use super::halves::Halves;
use super::wire::{AnswerReader, AnswerWriter, Unreadable, Wire, wire};
use crate::dialect::usage::{Scanner, UsageRules};
use crate::dialect::{DialectId, Framing};
use bytes::Bytes;
use std::sync::Arc;
use tollgate_plugin_api::Metered;

/// The largest answer that is put together of events into one document, in bytes.
const FOLDED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What the client asked for, as far as the answer depends on it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The client's dialect.
    pub client: DialectId,
    /// How the client's answer is framed: [`Framing::JsonDocument`] where no stream was asked for.
    pub framing: Framing,
    /// The usage of a stream is wanted (OpenAI's chat alone can do without).
    pub include_usage: bool,
    /// Ours; ids that the provider's answer has no counterpart for are made of it.
    pub request_id: String,
    /// When the request came, in Unix seconds.
    pub started_s: i64,
    /// The model as the upstream knows it, for answers that do not name theirs.
    pub model: String,
    /// [`Translated::repeated`](super::Translated::repeated). Writers read it once, and do not keep it.
    pub body: Bytes,
}

impl Asked {
    /// The same without the request, for as long as the answer takes.
    pub fn without_body(&self) -> Arc<Self> {
        Arc::new(Self { body: Bytes::new(), ..self.clone() })
    }

    /// Whether a stream was asked for.
    pub fn streams(&self) -> bool {
        self.framing != Framing::JsonDocument
    }

    /// The content type of the answer.
    pub fn content_type(&self) -> &'static str {
        match self.framing {
            Framing::Sse => "text/event-stream",
            Framing::NdJson => "application/x-ndjson",
            Framing::JsonDocument | Framing::JsonArray | Framing::Opaque | Framing::EventStream => "application/json",
        }
    }
}

/// An answer on its way from an upstream's dialect into the client's.
pub struct Translation {
    frames: Frames,
    is_document: bool,
    halves: Halves,
    reader: Box<dyn AnswerReader>,
    out: Out,
}

/// Where the events go.
struct Out {
    asked: Arc<Asked>,
    writer: Box<dyn AnswerWriter>,
    buffer: Vec<u8>,
    /// The answer, where it goes out as one document.
    answer: Option<Answer>,
    /// The upstream's terminal event was seen, or an error.
    is_over: bool,
    /// What the upstream said was wrong.
    refusal: Option<Refusal<'static>>,
    /// Something was said, or why nothing was.
    has_said: bool,
    /// Events so far have said more than that somebody is there.
    has_begun: bool,
    /// The upstream's.
    wire: &'static Wire,
}

impl Sink for Out {
    fn event(&mut self, event: Event<'_>) {
        match event {
            // Written when it is known what was used.
            Event::End(_) => self.is_over = true,
            _ if self.is_over => {}
            event => {
                self.has_begun |= event != Event::Ping;
                self.has_said |= !matches!(event, Event::Begin(_) | Event::Ping);
                if let Event::Error(refusal) = &event {
                    self.is_over = true;
                    self.refusal = Some(refusal.clone().into_owned());
                }
                self.deliver(&event);
            }
        }
    }
}

impl Out {
    /// The event that a stream begins with tells its writer what it says that was used. By itself, whatever has come behind it: where
    /// an answer is cut must make no difference.
    fn count_first(&mut self, json: &str) {
        if self.has_begun || self.answer.is_some() {
            return;
        }
        let wire = self.wire;
        self.writer.counted(&|| {
            let mut scanner = Scanner::new(wire.answer, wire.dialect, Framing::NdJson, UsageRules::default(), false);
            scanner.push(Bytes::copy_from_slice(json.as_bytes()));
            scanner.finish();
            scanner.metered()
        });
    }

    fn deliver(&mut self, event: &Event<'_>) {
        match &mut self.answer {
            Some(answer) => answer.event(event.clone()),
            None => self.writer.event(event, &mut self.buffer),
        }
    }
}

impl Translation {
    /// Of an answer with this framing, by an upstream of this dialect. `None`: one of the dialects is not translated.
    pub fn new(asked: Arc<Asked>, upstream: DialectId, framing: Framing) -> Option<Self> {
        let writer = wire(asked.client)?.answer_writer?(asked.clone());
        let wire = wire(upstream)?;
        let answer = (!asked.streams()).then(Answer::default);
        Some(Self {
            frames: Frames::new(framing),
            is_document: framing == Framing::JsonDocument,
            halves: Halves::default(),
            reader: (wire.answer_reader)(),
            out: Out {
                asked: asked.without_body(),
                writer,
                buffer: Vec::new(),
                answer,
                is_over: false,
                refusal: None,
                has_said: false,
                has_begun: false,
                wire,
            },
        })
    }

    /// What the client gets of a piece of the upstream's answer. `metered` is what was used, asked at the terminal event; what
    /// follows that is nothing to the client.
    ///
    /// # Errors
    /// The answer is not what its dialect says; nothing more can be made of it. What it said before is kept for [`Self::rest`].
    pub fn push(&mut self, piece: &[u8], metered: impl FnOnce() -> Option<Metered>) -> Result<Bytes, Unreadable> {
        if self.out.is_over {
            return Ok(Bytes::new());
        }
        let Self { frames, is_document, halves, reader, out } = self;
        let outcome = frames.push(piece, &mut |frame| take(frame, *is_document, halves, reader, out));
        if self.out.is_over {
            self.end(metered());
        } else {
            outcome?;
        }
        Ok(self.flush())
    }

    /// What the client gets when the upstream's answer has ended; `whole`: as it should.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(&mut self, whole: bool, metered: impl FnOnce() -> Option<Metered>) -> Result<Bytes, Unreadable> {
        let was_over = self.out.is_over;
        let Self { frames, is_document, halves, reader, out } = self;
        let outcome = frames.finish(&mut |frame| take(frame, *is_document, halves, reader, out));
        if !out.is_over {
            outcome?;
        }
        if whole {
            reader.end(out);
        }
        // Some other document under a status of success (`{}`, a proxy's own): nobody has answered.
        if *is_document && whole && !out.has_said {
            return Err(Unreadable::new("there is no answer in the document"));
        }
        if !was_over && (self.out.is_over || whole) {
            self.out.is_over = true;
            self.end(metered());
        }
        if let Some(answer) = self.out.answer.take() {
            self.out.buffer = match &answer.error {
                Some(refusal) => error_body(self.out.asked.client, refusal, &self.out.asked.request_id).into(),
                None if self.out.is_over => self.out.writer.document(&answer),
                // Half an answer is none.
                None => Vec::new(),
            };
        }
        Ok(self.flush())
    }

    /// After an error: what the client gets of the events before the one that cannot be read. Whether these came in the same
    /// piece must make no difference.
    pub fn rest(&mut self) -> Bytes {
        self.flush()
    }

    /// What the upstream said was wrong, instead of an answer or in its middle.
    pub fn refusal(&self) -> Option<&Refusal<'static>> {
        self.out.refusal.as_ref()
    }

    fn end(&mut self, metered: Option<Metered>) {
        self.out.deliver(&Event::End(metered));
    }

    fn flush(&mut self) -> Bytes {
        if !self.out.asked.streams() {
            // All there is, and it may be large.
            return std::mem::take(&mut self.out.buffer).into();
        }
        let bytes = Bytes::copy_from_slice(&self.out.buffer);
        self.out.buffer.clear();
        bytes
    }
}

fn take(
    frame: Frame<'_>,
    is_document: bool,
    halves: &mut Halves,
    reader: &mut Box<dyn AnswerReader>,
    out: &mut Out,
) -> Result<(), Unreadable> {
    match frame {
        _ if out.is_over => {}
        Frame::Comment => out.event(Event::Ping),
        Frame::Exception(status, words) => out.event(Event::Error(Refusal::read(status, words))),
        Frame::Value(_, json) if is_document => reader.document(&halves.mend(json, true), out)?,
        Frame::Value(name, json) => {
            let json = halves.mend(json, false);
            out.count_first(&json);
            reader.event(name, &json, out)?;
        }
    }
    if out.answer.as_ref().is_some_and(|answer| answer.kept_bytes > FOLDED_BYTES_MAX) {
        return Err(Unreadable::new("the answer is too large to be one document"));
    }
    Ok(())
}

/// The body of an error answer, in the client's dialect.
pub fn error_body(client: DialectId, refusal: &Refusal<'_>, request_id: &str) -> Bytes {
    format!("{{{}}}", refusal.members(client, false, request_id)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked {
            client: DialectId::Anthropic,
            framing: Framing::JsonDocument,
            include_usage: true,
            request_id: "r".to_owned(),
            started_s: 0,
            model: "m".to_owned(),
            body: Bytes::new(),
        }
    }

    #[test]
    fn a_document_of_another_kind_is_no_answer() {
        let documents = [
            (DialectId::OpenAi, r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}"#),
            (DialectId::Anthropic, r#"{"content":[{"type":"text","text":"x"}],"stop_reason":"end_turn"}"#),
            (DialectId::Gemini, r#"{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}"#),
        ];
        let strange = ["{}", r#"{"status":"ok"}"#, r#"{"id":"1","object":"list","data":[]}"#];
        for (upstream, own) in documents {
            let others = documents.iter().filter(|(dialect, _)| *dialect != upstream).map(|(_, document)| *document);
            for document in others.chain(strange) {
                let asked = Arc::new(Asked { client: DialectId::OpenAiResponses, ..asked() });
                let mut translation = Translation::new(asked, upstream, Framing::JsonDocument).expect("translated");
                let pushed = translation.push(document.as_bytes(), || None);
                let outcome = pushed.and_then(|_| translation.finish(true, || None));
                assert!(outcome.is_err(), "{upstream}: {document}: {outcome:?}");
            }
            let asked = Arc::new(Asked { client: DialectId::OpenAiResponses, ..asked() });
            let mut translation = Translation::new(asked, upstream, Framing::JsonDocument).expect("translated");
            translation.push(own.as_bytes(), || None).expect("its own");
            assert!(!translation.finish(true, || None).expect("its own").is_empty());
        }
    }

    #[test]
    fn a_character_in_two_pieces_is_whole_for_the_client() {
        let chat = |text: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#);
        let claude = |text: &str| {
            format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#)
        };
        let gemini = |text: &str| format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}}}}]}}"#);
        let start = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
        let said = |say: &dyn Fn(&str) -> String| [r"hi \ud83d", r"\ude00 ok"].map(say);
        for (upstream, first, said) in [
            (DialectId::OpenAi, None, said(&chat)),
            (DialectId::Anthropic, Some(start), said(&claude)),
            (DialectId::Gemini, None, said(&gemini)),
        ] {
            let client = if upstream == DialectId::OpenAi { DialectId::Anthropic } else { DialectId::OpenAi };
            let asked = Arc::new(Asked { client, framing: Framing::Sse, ..asked() });
            let mut translation = Translation::new(asked, upstream, Framing::Sse).expect("translated");
            let mut got = Vec::new();
            for event in first.into_iter().chain(said.iter().map(String::as_str)) {
                let piece = format!("data: {event}\n\n");
                got.extend(translation.push(piece.as_bytes(), || None).expect("readable"));
            }
            let got = String::from_utf8(got).expect("UTF-8");
            assert!(got.contains("hi ") && got.contains("\u{1f600} ok"), "{upstream}: {got}");
        }
    }

    #[test]
    fn an_answer_in_events_without_end_is_no_document() {
        let asked = asked();
        // Thoughts and texts in turn: each is a block, whatever it has.
        let said = |members: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{{members}}}}}]}}\n\n");
        let small = [said("\"reasoning\":\"x\""), said("\"content\":\"x\"")].concat().repeat(1_000);
        let large = said(&format!("\"content\":\"{}\"", "x".repeat(4 * 1024 * 1024)));
        for (piece, pieces_max) in [(small, FOLDED_BYTES_MAX / (2_000 * size_of::<super::super::Block>())), (large, 16)]
        {
            let asked = Arc::new(asked.clone());
            let mut translation =
                Translation::new(asked, DialectId::OpenAi, Framing::Sse).expect("both are translated");
            let pieces = (0..).find(|_| translation.push(piece.as_bytes(), || None).is_err());
            assert!(pieces.is_some_and(|pieces| pieces <= pieces_max + 1), "{pieces:?} of {pieces_max}");
        }
    }
}
