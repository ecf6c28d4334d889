//! Reads events, or the one document, and keeps what they say (`said`).

use tollgate_plugin_api::{Metered, ServiceTier, Usage};

use super::alike::Alike;
use super::error_event::ErrorEvent;
use super::facts::{Facts, Kind};
use super::made::Made;
use super::media::MediaTokens;
use super::places::{Slot, places, places_in_delta};
use super::report::Report;
use super::rules::UsageRules;
use super::said::{Said, Unreported};
use super::skim::skim;
use crate::dialect::event_frames::EventFrame;
use crate::dialect::failed;
use crate::dialect::json::Walker;
use crate::dialect::shape::{Answer, DialectId, Framing};
use crate::dialect::sse::{LINE_BYTES_MAX, data_at_front};
use crate::dialect::text::DeliveredText;

/// Reads one event after the other.
#[derive(Debug)]
pub(super) struct Reader {
    answer: Answer,
    rules: UsageRules,
    walker: Walker<Slot>,
    delta_walker: Walker<Slot>,
    pub(super) alike: Alike,
    facts: Facts,
    said: Said,
    /// It is one document, in which something is generated if it is an answer at all.
    is_generated_document: bool,
    /// It is one document.
    is_document: bool,
    /// It is a stream of what is no text.
    is_media_stream: bool,
    /// No event is only glanced at.
    reads_all: bool,
    /// The event being read is named `error`.
    pub(super) named_error: bool,
    /// The HTTP status that a comment in the event states (DashScope).
    pub(super) stated_status: Option<u16>,
    /// The last event was one that has usage and an empty list of choices (or `null`), and nothing else.
    pub(super) was_usage_chunk: bool,
}

impl Reader {
    pub(super) fn new(answer: Answer, dialect: DialectId, framing: Framing, rules: UsageRules) -> Self {
        Self {
            answer,
            rules,
            walker: Walker::new(places(answer, framing)),
            delta_walker: Walker::new(places_in_delta(answer)),
            alike: Alike::new(),
            facts: Facts::new(answer, dialect),
            said: Said::default(),
            is_generated_document: framing == Framing::JsonDocument && answer.generates(),
            is_document: framing == Framing::JsonDocument,
            is_media_stream: framing == Framing::Sse && matches!(answer, Answer::Image | Answer::Speech),
            reads_all: false,
            named_error: false,
            stated_status: None,
            was_usage_chunk: false,
        }
    }

    /// Reads an event that is there as a whole.
    pub(super) fn event(&mut self, event: &[u8]) {
        self.was_usage_chunk = false;
        let event = event.trim_ascii();
        if event.is_empty() {
            return;
        }
        if event == b"[DONE]" {
            self.said.terminal |= !matches!(self.answer, Answer::Messages | Answer::GenerateContent);
            return;
        }
        self.facts.meter.next_event();
        if self.said.token
            && !self.named_error
            && !self.reads_all
            && skim(self.answer, event, &mut self.alike, &mut self.delta_walker, &mut self.facts.meter)
        {
            return;
        }
        self.begin();
        self.feed(event);
        if self.named_error && !self.walker.is_closed() && self.said.error.is_none() {
            self.said.error = Some(ErrorEvent::with_message(&String::from_utf8_lossy(event)));
        }
        self.end();
    }

    /// Reads the block of lines that these bytes begin with, if it is one event that is written like one before it. How long the
    /// block is.
    pub(super) fn block_alike(&mut self, bytes: &[u8]) -> Option<usize> {
        if !self.said.token || self.reads_all {
            return None;
        }
        let data = data_at_front(bytes)?;
        let found = self.alike.text_at_front(&bytes[data..])?;
        let end = data + found.bytes;
        if end > LINE_BYTES_MAX || !bytes[end..].starts_with(b"\n\n") {
            return None;
        }
        self.was_usage_chunk = false;
        self.stated_status = None;
        self.facts.meter.next_event();
        self.facts.meter.whole_string(found.slot, found.text);
        Some(end + 2)
    }

    /// Reads a binary frame. Its kind is no part of its value: an exception's tells its status.
    pub(super) fn frame(&mut self, frame: &EventFrame) {
        self.named_error = frame.is_error();
        self.stated_status = frame.status();
        self.event(frame.payload());
        if self.named_error
            && let Some(error) = &mut self.said.error
        {
            error.kind.get_or_insert_with(|| frame.name().to_owned());
        }
        (self.named_error, self.stated_status) = (false, None);
    }

    /// Begins an event that comes in parts.
    pub(super) fn begin(&mut self) {
        self.was_usage_chunk = false;
        self.walker.reset();
        self.facts.next_event();
    }

    /// A part of the event. Says how many of its bytes belong to the event's value.
    pub(super) fn feed(&mut self, part: &[u8]) -> usize {
        let used = self.walker.feed(part, &mut self.facts);
        if self.walker.is_closed() && !part[used..].trim_ascii().is_empty() {
            self.walker.kill();
        }
        used
    }

    /// A part of a run of values. Says how many of its bytes belong to this one.
    pub(super) fn feed_value(&mut self, part: &[u8]) -> usize {
        self.walker.feed(part, &mut self.facts)
    }

    /// The event's value is complete.
    pub(super) fn is_closed(&self) -> bool {
        self.walker.is_closed()
    }

    /// The event's value is complete, and nothing that follows is a part of it.
    pub(super) fn is_ended(&self) -> bool {
        self.walker.is_ended()
    }

    /// The event's value is broken.
    pub(super) fn is_dead(&self) -> bool {
        self.walker.is_dead()
    }

    /// The event's list of choices is known to hold something.
    pub(super) fn has_choices(&self) -> bool {
        self.facts.choices == Some(true)
    }

    /// The event ended. What it says counts if its value is complete.
    pub(super) fn end(&mut self) {
        if self.walker.is_closed() {
            self.commit();
            if self.is_generated_document {
                self.judge_document();
            }
        }
    }

    /// A whole document without anything generated, counted or ended is an error in a shape of its vendor's own.
    fn judge_document(&mut self) {
        let Self { said, facts, .. } = self;
        if !said.token && !said.has_report() && said.error.is_none() {
            said.error = Some(ErrorEvent::of_parts(facts.code.as_deref(), facts.message.as_deref()));
        }
    }

    /// A document was cut off: what has been read of it counts.
    pub(super) fn end_cut_off(&mut self) {
        self.commit();
    }

    fn commit(&mut self) {
        let kind = self.facts.kind.unwrap_or_default();
        let error = self.error(kind);
        let report = self.report(kind);
        self.was_usage_chunk = self.facts.choices == Some(false) && self.facts.usage_object && error.is_none();
        let said = &mut self.said;
        // It is settled by what was said up to there: whether more came in the same piece must make no difference.
        if said.terminal {
            return;
        }
        said.token |= match kind {
            Kind::Opening => !self.facts.opens_text,
            Kind::Generated | Kind::Audio | Kind::Image => true,
            _ => false,
        };
        said.token |= self.facts.generated || self.facts.meter.any || self.facts.finishes > 0;
        said.token |= kind != Kind::Start && report.as_ref().is_some_and(|report| report.is_report());
        // A stream of sounds or images has begun with whatever event it has.
        said.token |= self.is_media_stream && kind != Kind::Terminal && error.is_none();
        // It is never the stream's end: nobody knows how many there will be.
        let is_image = kind == Kind::Image;
        self.facts.pieces.images += u64::from(is_image);
        self.facts.finishes += u32::from(is_image);
        let is_failure = is_failure(self.facts.code.as_deref(), self.facts.message.as_deref());
        self.facts.pieces.has_failed_in_words |= is_failure;
        said.pieces.add(std::mem::take(&mut self.facts.pieces));
        if self.facts.is_thought {
            // Thoughts come first.
            said.thought_bytes = self.facts.meter.delivered.total_bytes();
        } else {
            // Of images that are thought of, only the last one is the answer.
            said.media.add(self.facts.inline_media);
        }
        said.finishes = said.finishes.saturating_add(self.facts.finishes);
        said.choices_begun = said.choices_begun.max(self.facts.choices_begun);
        said.terminal |= kind == Kind::Terminal || self.facts.last;
        said.tier = self.facts.tier.or(said.tier);
        said.of_gemini = self.facts.of_gemini.unwrap_or(said.of_gemini);
        // A stream says again what it said before.
        said.searches = said.searches.max(self.facts.searches.billed().get().unwrap_or(0));
        said.executed.add(std::mem::take(&mut self.facts.executed));
        for (said, (kind, times)) in said.tools.iter_mut().zip(self.facts.searches.tools()) {
            *said = (kind, said.1.max(times));
        }
        said.image_tool = self.facts.image_tool.or(said.image_tool);
        said.tool_model = self.facts.tool_model.take().or(said.tool_model.take());
        if said.error.is_none() {
            said.error = error;
        }
        if let Some(report) = report {
            said.take(report, kind);
        }
    }

    /// The report of this event: in the place that is the protocol's own for this kind of event, or the vendor's.
    fn report(&mut self, kind: Kind) -> Option<Box<Report>> {
        let facts = &mut self.facts;
        if self.answer == Answer::Messages {
            return match kind {
                Kind::Start => facts.usage_at_start.take(),
                // A document has no event type that is looked at.
                Kind::Delta => facts.usage.take(),
                _ if facts.kind.is_none() => facts.usage.take(),
                _ => None,
            };
        }
        let in_choice = facts.usage_in_choice.take().filter(|_| self.rules.usage_in_choice);
        let counts = Report::of_counts(facts.input_count, facts.output_count).map(Box::new);
        let places = [facts.usage.take(), facts.usage_aside.take(), in_choice, facts.usage_counted.take(), counts];
        places.into_iter().flatten().filter(|report| report.is_report()).reduce(|first, next| {
            match first.has_units_alone() {
                // What is counted may stand in another place.
                true => next.with_units_of(&first),
                false => first,
            }
        })
    }

    fn error(&mut self, kind: Kind) -> Option<ErrorEvent> {
        let facts = &mut self.facts;
        let bare = kind == Kind::Error || self.named_error || facts.object_is_error || facts.failed_code.is_some();
        let mut error = facts
            .error
            .take()
            .or_else(|| bare.then(|| ErrorEvent::of_parts(facts.code.as_deref(), facts.message.as_deref())))?;
        let by_code = facts.failed_code.and_then(failed::status_of_code);
        error.status = error.status.or(by_code).or(self.stated_status);
        Some(error)
    }

    /// Something has been generated, or counted, or ended.
    pub(super) fn token_seen(&self) -> bool {
        self.said.token
    }

    /// Notes that the answer has content, of whatever kind.
    pub(super) fn note_token(&mut self) {
        self.said.token = true;
    }

    pub(super) fn error_event(&self) -> Option<&ErrorEvent> {
        self.said.error.as_ref()
    }

    /// The stream's own end has passed, or a finish reason of every answer that has begun.
    pub(super) fn has_ended(&self) -> bool {
        self.said.terminal || self.said.finishes >= self.said.choices_begun.max(1)
    }

    /// Several answers to one prompt were asked for: which of them an event is of counts, so none is only glanced at.
    pub(super) fn expect_choices(&mut self) {
        self.reads_all = true;
    }

    /// The stream's own end has passed: nothing of the answer can follow.
    pub(super) fn has_terminal(&self) -> bool {
        self.said.terminal
    }

    /// A count came that is not believed.
    pub(super) fn disbelieved(&self) -> bool {
        self.said.disbelieved
    }

    /// The output count in force is one that a later event would not have replaced.
    pub(super) fn output_reported(&self) -> bool {
        self.said.output_reported
    }

    /// What the report in force, of this usage, leaves out though text has passed. `is_cut`: the answer did not come to its end.
    pub(super) fn unreported(&self, usage: &Usage, is_cut: bool) -> Unreported {
        let has_text = self.delivered().total_bytes() > 0 || self.media_tokens().sum() > 0;
        self.said.unreported(usage, is_cut, has_text)
    }

    /// Where the report in force counts what was thought and nothing else that was generated: how many bytes of the text that has
    /// passed are thoughts.
    pub(super) fn thoughts_alone(&self) -> Option<u64> {
        self.said.thoughts_alone()
    }

    /// What was reported, if it is believed.
    pub(super) fn metered(&self) -> Option<Metered> {
        self.said.metered(self.answer, &self.rules)
    }

    /// What was said beside counts, where those are not there or not believed.
    pub(super) fn uncounted(&self, asked: ServiceTier) -> Metered {
        self.said.uncounted(&self.rules, asked)
    }

    /// What has passed of images and sounds.
    pub(super) fn media_tokens(&self) -> MediaTokens {
        self.said.media.tokens(self.facts.meter.sound_bytes)
    }

    pub(super) fn delivered(&self) -> &DeliveredText {
        &self.facts.meter.delivered
    }

    /// Counts bytes that are text as they are.
    pub(super) fn push_plain_text(&mut self, bytes: &[u8]) {
        self.facts.meter.delivered.push_plain(bytes);
    }

    /// What it says was made or heard. An answer that is not whole has the images that are there; one that is, and has none in
    /// their place, has them in a place that nobody here knows.
    pub(super) fn made(&self, is_whole: bool, last_cue_ms: Option<u64>) -> Made {
        let mut pieces = self.said.pieces.clone();
        if self.is_document {
            // As far as it has come.
            pieces.add(self.facts.pieces.clone());
        }
        pieces.made(self.answer == Answer::Image && !is_whole, last_cue_ms)
    }
}

/// Whether a document that has nothing of its kind says by a code in its own words that it failed: a number that is no success, or a
/// word with a message.
fn is_failure(code: Option<&[u8]>, message: Option<&[u8]>) -> bool {
    let is_text = |json: &[u8]| json.len() > 2 && json.first() == Some(&b'"');
    match code.map(serde_json::from_slice::<u64>) {
        Some(Ok(code)) => code != 0 && !(200..300).contains(&code),
        Some(Err(_)) => code.is_some_and(is_text) && message.is_some_and(is_text),
        None => false,
    }
}
