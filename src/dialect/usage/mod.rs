//! The usage scanner: watches an upstream's answer pass and says what it used.
//!
//! It takes the bytes in pieces cut anywhere and comes to the same result however they were cut, in constant memory and
//! (for the bulk of a stream) without allocating. The layers, from the bytes up: `sse` cuts lines, `events` makes
//! events of them, `skim` sees at a glance that most of them bring only text, `reader` walks through the others along
//! the tables in `places`, and what stands in the place of a usage object is read by serde into the shapes in `openai`,
//! `anthropic`, `gemini` and their like. A count is believed only in its protocol's own place; what a model writes, in whatever
//! shape, is content.

mod alike;
mod anthropic;
mod bedrock;
mod cohere;
mod count;
mod cues;
mod error_event;
mod events;
mod executed;
mod facts;
mod gemini;
mod image_tool;
mod made;
mod media;
mod millis;
mod ollama;
mod openai;
mod places;
mod reader;
mod reading;
mod report;
mod rules;
mod said;
mod searches;
mod skim;
mod take_out;
mod values;

use bytes::Bytes;
use tollgate_plugin_api::{Metered, ServiceTier, Usage};

pub use self::count::COUNT_MAX;
pub use self::error_event::ErrorEvent;
pub use self::made::{ImageKind, Made};
pub use self::media::MediaTokens;
pub use self::rules::{CitationTokens, Placement, UsageRules};
pub use self::said::Unreported;

use self::cues::Cues;
use self::events::{Block, Events};
use self::reader::Reader;
use self::take_out::TakeOut;
use self::values::Values;
use super::event_frames::{BrokenFrame, EventFrames};
use super::shape::{Answer, DialectId, Framing};
use super::sse::{Lines, Part};
use super::text::DeliveredText;

/// Watches one answer.
#[derive(Debug)]
pub struct Scanner {
    reader: Reader,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Sse(Box<Stream>),
    Values(Values),
    Frames(EventFrames),
    /// `text`: the bytes are the answer's text, which may be subtitles.
    Opaque {
        text: Option<Box<Cues>>,
        any: bool,
    },
}

#[derive(Debug, Default)]
struct Stream {
    lines: Lines,
    events: Events,
    /// The running line is a comment.
    in_comment: bool,
    /// So much has come of the event that is not complete.
    open: usize,
    /// The body has ended, and what went on to the client ended within an event.
    ended_inside: bool,
    take_out: Option<TakeOut>,
}

impl Scanner {
    /// A scanner for one answer. `take_out_usage_chunk`: the gateway asked the upstream for a usage chunk that the
    /// client did not ask for; it is taken out of the stream (OpenAI's chat and completion streams only).
    pub fn new(
        answer: Answer,
        dialect: DialectId,
        framing: Framing,
        rules: UsageRules,
        take_out_usage_chunk: bool,
    ) -> Self {
        let source = match framing {
            Framing::Sse => {
                let takes_out = take_out_usage_chunk && matches!(answer, Answer::Chat | Answer::Completion);
                Source::Sse(Box::new(Stream { take_out: takes_out.then(TakeOut::default), ..Stream::default() }))
            }
            Framing::JsonDocument => Source::Values(Values::document(dialect == DialectId::Gemini)),
            Framing::JsonArray | Framing::NdJson => Source::Values(Values::run()),
            Framing::EventStream => Source::Frames(EventFrames::default()),
            Framing::Opaque => {
                let text = (answer == Answer::Transcription).then(Box::default);
                Source::Opaque { text, any: false }
            }
        };
        Self { reader: Reader::new(answer, dialect, framing, rules), source }
    }

    /// The same for an answer to a request for so many answers to one prompt.
    #[must_use]
    pub fn of_choices(mut self, choices: u64) -> Self {
        if choices > 1 {
            self.reader.expect_choices();
        }
        self
    }

    /// Takes the next piece of the body and says what of it goes on to the client: the same bytes, unless a usage chunk
    /// is being taken out, or may be.
    pub fn push(&mut self, piece: Bytes) -> Bytes {
        match &mut self.source {
            Source::Sse(stream) => return stream.push(piece, &mut self.reader),
            Source::Values(values) => values.push(&piece, &mut self.reader),
            Source::Frames(frames) => {
                let reader = &mut self.reader;
                // Frames that are broken are the reader's matter: nothing is counted from there on.
                let _ = frames.push(&piece, &mut |frame| {
                    reader.frame(frame);
                    Ok::<_, BrokenFrame>(())
                });
            }
            Source::Opaque { text, any } => {
                *any |= !piece.is_empty();
                if let Some(cues) = text {
                    cues.push(&piece);
                    self.reader.push_plain_text(&piece);
                }
                if *any {
                    self.reader.note_token();
                }
            }
        }
        piece
    }

    /// The body has ended, whether or not it was whole. What was still held back goes on now.
    pub fn finish(&mut self) -> Bytes {
        match &mut self.source {
            Source::Sse(stream) => stream.finish(&mut self.reader),
            Source::Values(values) => {
                values.finish(&mut self.reader);
                Bytes::new()
            }
            Source::Opaque { text, .. } => {
                if let Some(cues) = text {
                    cues.end_line();
                }
                Bytes::new()
            }
            Source::Frames(_) => Bytes::new(),
        }
    }

    /// Something with content, reasoning, a tool call, a finish reason or usage has passed (Anthropic's `message_start`
    /// does not count, for all its usage). In a document: it has content, or it is complete and no error.
    pub fn token_seen(&self) -> bool {
        self.reader.token_seen()
    }

    /// The first error that stood in the answer, whatever its status was.
    pub fn error_event(&self) -> Option<&ErrorEvent> {
        self.reader.error_event()
    }

    /// A stream: its dialect's terminal event, or a finish reason of each of its answers, has passed. A document: its value is complete.
    /// Bytes: always, since nothing in them says where they end.
    pub fn is_whole(&self) -> bool {
        match &self.source {
            Source::Sse(_) | Source::Frames(_) => self.reader.has_ended(),
            Source::Values(values) => values.is_whole() || (values.is_run() && self.reader.has_ended()),
            Source::Opaque { .. } => true,
        }
    }

    /// The dialect's terminal event (`[DONE]`, `message_stop`, `response.completed` …) has passed: whoever has got so
    /// far has the whole answer.
    pub fn has_terminal(&self) -> bool {
        let in_events = match &self.source {
            Source::Sse(_) | Source::Frames(_) => true,
            Source::Values(values) => values.is_run(),
            Source::Opaque { .. } => false,
        };
        in_events && self.reader.has_terminal()
    }

    /// What has passed so far ends between two events (two values, in a run of values). After [`Self::finish`]: what
    /// went on to the client does. For the properties that fuzzing holds the scanner to (`tests/fuzz`), as [`Self::is_final`] is.
    #[doc(hidden)]
    pub fn at_event_boundary(&self) -> bool {
        match &self.source {
            Source::Sse(stream) => stream.at_boundary() && !stream.ended_inside,
            Source::Values(values) => values.at_boundary(),
            Source::Frames(frames) => frames.at_boundary(),
            Source::Opaque { .. } => true,
        }
    }

    /// How many of the bytes that went on, the last ones, are of an event (a value, a document) that is not complete: 0 between two.
    /// It may have begun in an earlier piece. Nobody knows the end of frames that are broken.
    pub fn open_bytes(&self) -> usize {
        match &self.source {
            Source::Sse(stream) => stream.open_bytes(),
            Source::Values(values) => values.open_bytes(),
            Source::Frames(frames) => frames.open_bytes(),
            Source::Opaque { .. } => 0,
        }
    }

    /// What the upstream reported, in the last of its reports; `None` when there is none, or it is not believed.
    pub fn metered(&self) -> Option<Metered> {
        self.reader.metered()
    }

    /// All that a price depends on but counts, for an estimate of those: what was said of it beside them. `asked`: the tier that the
    /// request asked for, which is the best guess where the answer names none.
    pub fn uncounted(&self, asked: ServiceTier) -> Metered {
        self.reader.uncounted(asked)
    }

    /// What the answer says was made or heard.
    pub fn made(&self) -> Made {
        let last_cue_ms = match &self.source {
            Source::Opaque { text, .. } => text.as_ref().and_then(|cues| cues.last_ms()),
            Source::Sse(_) | Source::Values(_) | Source::Frames(_) => None,
        };
        self.reader.made(self.is_whole(), last_cue_ms)
    }

    /// There is a report, and it is the last one: when an answer is cut off, the output of a report that is not final
    /// is only a lower bound (Anthropic's placeholder at the start; a cumulative count so far).
    #[doc(hidden)]
    pub fn is_final(&self) -> bool {
        self.reader.output_reported() && self.is_whole() && self.metered().is_some()
    }

    /// What was reported is more than the placeholder of a stream's start.
    pub fn has_counted(&self) -> bool {
        self.reader.output_reported() && self.metered().is_some()
    }

    /// A report with an impossible count has come: negative, fractional, above [`COUNT_MAX`], not a number. A later one
    /// that is believed counts all the same.
    pub fn disbelieved(&self) -> bool {
        self.reader.disbelieved()
    }

    /// What the report leaves out though text has passed: nobody has counted that. `is_cut`: the answer did not come to its
    /// end. (Anthropic's output is then what it said at the start: a placeholder, text or no text.)
    /// `usage`: what [`Self::metered`] says.
    pub fn unreported(&self, usage: &Usage, is_cut: bool) -> Unreported {
        self.reader.unreported(usage, is_cut)
    }

    /// The images and sounds that passed beside the text.
    pub fn media_tokens(&self) -> MediaTokens {
        self.reader.media_tokens()
    }

    /// Where the report in force counts what was thought, apart (Gemini), and nothing else that was generated: how many bytes of the
    /// text that passed are thoughts.
    pub fn thoughts_alone(&self) -> Option<u64> {
        self.reader.thoughts_alone()
    }

    /// The text, reasoning and tool arguments that passed.
    pub fn delivered(&self) -> &DeliveredText {
        self.reader.delivered()
    }
}

impl Stream {
    fn push(&mut self, piece: Bytes, reader: &mut Reader) -> Bytes {
        let mut cut = self.take_out.as_mut().map(|take_out| take_out.begin(piece.clone(), &self.lines));
        let (mut at, mut boundary) = (0, None);
        loop {
            if let Some(bytes) = self.block_alike(&piece[at..], reader) {
                at += bytes;
                boundary = Some(at);
                if let (Some(cut), Some(take_out)) = (&mut cut, &mut self.take_out) {
                    take_out.block(cut, Block { is_usage_chunk: false }, at, &self.lines);
                }
                continue;
            }
            let Some(line) = self.lines.next(&piece, &mut at) else { break };
            let end = line.end;
            if line.part != Part::More {
                self.in_comment = line.bytes.first() == Some(&b':');
            }
            let comment_ended = self.in_comment && line.ended;
            let blank_follows = line.ended && matches!(piece.get(end), Some(b'\n' | b'\r'));
            let block = self.events.line(line, blank_follows, reader);
            if block.is_some() || (comment_ended && self.events.at_boundary()) {
                boundary = Some(end);
            }
            if let (Some(cut), Some(take_out)) = (&mut cut, &mut self.take_out) {
                match block {
                    Some(block) => take_out.block(cut, block, end, &self.lines),
                    None if comment_ended && self.events.at_boundary() => take_out.comment(cut, end),
                    None => {}
                }
            }
        }
        self.open = match boundary {
            _ if self.at_boundary() => 0,
            Some(at) => piece.len() - at,
            None => self.open + piece.len(),
        };
        match (cut, &mut self.take_out) {
            (Some(cut), Some(take_out)) => take_out.end(cut, &self.lines, &self.events, reader),
            _ => piece,
        }
    }

    /// Passes a whole event that is written like one before it, without looking for its lines. How long it is.
    fn block_alike(&mut self, bytes: &[u8], reader: &mut Reader) -> Option<usize> {
        if !self.at_boundary() {
            return None;
        }
        let block = reader.block_alike(bytes)?;
        self.lines.passed();
        self.in_comment = false;
        Some(block)
    }

    fn at_boundary(&self) -> bool {
        self.events.at_boundary() && self.lines.at_line_start()
    }

    /// What is held back is all that has come of its event.
    fn open_bytes(&self) -> usize {
        let holds = self.take_out.as_ref().is_some_and(TakeOut::holds);
        if holds { 0 } else { self.open }
    }

    fn finish(&mut self, reader: &mut Reader) -> Bytes {
        self.ended_inside |= !self.at_boundary();
        if let Some(line) = self.lines.finish() {
            self.events.line(line, false, reader);
        }
        let last = self.events.end_block(reader);
        let Some(take_out) = &mut self.take_out else {
            return Bytes::new();
        };
        let held = take_out.finish(last);
        // A usage chunk without its blank line is gone altogether.
        self.ended_inside &= !(last.is_usage_chunk && held.is_empty());
        held
    }
}

#[cfg(test)]
mod tests;
