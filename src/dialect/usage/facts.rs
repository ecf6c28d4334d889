//! What one event, or one document, says.

use memchr::memmem::Finder;
use std::sync::LazyLock;

use super::count::{Count, Tier};
use super::error_event::ErrorEvent;
use super::executed::Executed;
use super::image_tool::ImageTool;
use super::made::Pieces;
use super::media::InlineMedia;
use super::places::Slot;
use super::report::Report;
use super::searches::Searches;
use crate::dialect::json::Sink;
use crate::dialect::request::MODEL_BYTES_MAX;
use crate::dialect::shape::{Answer, DialectId};
use crate::dialect::text::DeliveredText;

/// A captured value (a usage object, an error) larger than this is not read: such usage is not believed.
const CAPTURE_BYTES_MAX: usize = 64 * 1024;
/// What a capture buffer begins with: room for a usage object as most are, which comes in many pieces.
const USUAL_BYTES: usize = 512;
/// A capture buffer that has grown beyond this is given back.
const KEEP_BYTES_MAX: usize = 2 * 1024;
/// No prompt has more answers: OpenAI's limit.
const CHOICES_MAX: u32 = 128;

/// In the names of Google's models, whoever serves them.
static GEMINI: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("gemini"));

/// What an event is for, by its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not said, or of no interest.
    #[default]
    Other,
    /// Anthropic's `message_start`.
    Start,
    /// Anthropic's `message_delta`.
    Delta,
    /// The announcement of a block or an item: generated, unless it is merely the beginning of text or reasoning.
    Opening,
    /// Something generated.
    Generated,
    /// Generated audio, in text form: not text.
    Audio,
    /// An image that is complete.
    Image,
    /// The stream's own end.
    Terminal,
    /// An error.
    Error,
}

/// Generated text as it is found, and whether there was any.
#[derive(Debug, Default)]
pub(super) struct TextMeter {
    pub(super) delivered: DeliveredText,
    /// Text came in this event.
    pub(super) any: bool,
    /// Sounds of OpenAI's chat, in bytes of Base64.
    pub(super) sound_bytes: u64,
    /// Which of the names for reasoning this event uses: another, if it is there too, says the same again.
    reasoning: Option<Slot>,
}

impl TextMeter {
    pub(super) fn next_event(&mut self) {
        self.any = false;
        self.reasoning = None;
    }

    /// A piece of a JSON string in this place.
    pub(super) fn string(&mut self, slot: Slot, piece: &[u8]) {
        if is_reasoning(slot) && *self.reasoning.get_or_insert(slot) != slot {
            return;
        }
        self.any = true;
        self.delivered.push_string(piece);
    }

    /// A JSON string in this place that is there as a whole.
    pub(super) fn whole_string(&mut self, slot: Slot, string: &[u8]) {
        self.string(slot, string);
        self.delivered.end_string();
    }
}

fn is_reasoning(slot: Slot) -> bool {
    matches!(slot, Slot::Reasoning | Slot::ReasoningContent | Slot::ReasoningDetails)
}

impl Sink<Slot> for TextMeter {
    fn text(&mut self, slot: Slot, piece: &[u8]) {
        self.string(slot, piece);
    }
    fn text_end(&mut self, _: Slot) {
        self.delivered.end_string();
    }
    fn raw(&mut self, slot: Slot, piece: &[u8]) {
        self.any = true;
        match slot {
            Slot::SoundBytes => self.sound_bytes = self.sound_bytes.saturating_add(piece.len() as u64),
            _ => self.delivered.push_plain(piece),
        }
    }
}

/// The facts of one event.
#[derive(Debug)]
pub(super) struct Facts {
    answer: Answer,
    dialect: DialectId,
    capture: Vec<u8>,
    /// More was captured than is kept.
    overflow: bool,
    pub(super) meter: TextMeter,
    pub(super) usage: Option<Box<Report>>,
    pub(super) usage_aside: Option<Box<Report>>,
    pub(super) usage_in_choice: Option<Box<Report>>,
    pub(super) usage_counted: Option<Box<Report>>,
    pub(super) usage_at_start: Option<Box<Report>>,
    /// An object stands in the place of the usage, whatever is in it.
    pub(super) usage_object: bool,
    /// There are choices, or there is an empty list of them (or `null`, as Go writes one).
    pub(super) choices: Option<bool>,
    /// How many reasons there are why generation ended.
    pub(super) finishes: u32,
    /// How many answers to one prompt there are at least, by their numbers.
    pub(super) choices_begun: u32,
    pub(super) generated: bool,
    /// Its text is a thought.
    pub(super) is_thought: bool,
    pub(super) inline_media: InlineMedia,
    pub(super) kind: Option<Kind>,
    /// What is announced is text or reasoning.
    pub(super) opens_text: bool,
    pub(super) error: Option<ErrorEvent>,
    pub(super) object_is_error: bool,
    pub(super) code: Option<Vec<u8>>,
    pub(super) message: Option<Vec<u8>>,
    pub(super) tier: Tier,
    pub(super) of_gemini: Option<bool>,
    pub(super) searches: Searches,
    pub(super) executed: Executed,
    pub(super) image_tool: Option<ImageTool>,
    pub(super) tool_model: Option<String>,
    pub(super) input_count: Count,
    pub(super) output_count: Count,
    pub(super) pieces: Pieces,
    /// It is the stream's last event.
    pub(super) last: bool,
    /// A code by which it says that it failed.
    pub(super) failed_code: Option<u64>,
}

impl Facts {
    pub(super) fn new(answer: Answer, dialect: DialectId) -> Self {
        Self {
            answer,
            dialect,
            capture: Vec::new(),
            overflow: false,
            meter: TextMeter::default(),
            usage: None,
            usage_aside: None,
            usage_in_choice: None,
            usage_counted: None,
            usage_at_start: None,
            usage_object: false,
            choices: None,
            finishes: 0,
            choices_begun: 0,
            generated: false,
            is_thought: false,
            inline_media: InlineMedia::default(),
            kind: None,
            opens_text: false,
            error: None,
            object_is_error: false,
            code: None,
            message: None,
            tier: Tier::default(),
            of_gemini: None,
            searches: Searches::default(),
            executed: Executed::default(),
            image_tool: None,
            tool_model: None,
            input_count: Count::Absent,
            output_count: Count::Absent,
            pieces: Pieces::default(),
            last: false,
            failed_code: None,
        }
    }

    /// Forgets the event; the text stays counted.
    pub(super) fn next_event(&mut self) {
        let mut capture = std::mem::take(&mut self.capture);
        let mut meter = std::mem::take(&mut self.meter);
        capture.clear();
        meter.next_event();
        *self = Self { capture, meter, ..Self::new(self.answer, self.dialect) };
    }

    /// The report that was captured. What only holds the place of one that is to come is none.
    fn report(&mut self) -> Option<Box<Report>> {
        let report = if self.overflow { Some(Report::Unreadable) } else { Report::parse(self.dialect, &self.capture) };
        self.pieces.reported(report.as_ref());
        report.filter(|report| !(self.answer.generates() && report.is_placeholder())).map(Box::new)
    }

    /// A code by which it says that it failed, if it did.
    fn outcome(&mut self) {
        self.failed_code = serde_json::from_slice(&self.capture).ok().filter(|code| *code != 0);
        if self.failed_code.is_some() {
            self.code = Some(self.capture.clone());
        }
    }

    fn finish(&mut self) {
        let failure = ErrorEvent::of_finish(self.dialect, self.word());
        let is_finish = failure.is_none() && is_finish(&self.capture);
        self.finishes = self.finishes.saturating_add(u32::from(is_finish));
        // An error that stands beside it says more.
        self.error = self.error.take().or(failure);
    }

    fn choice_index(&mut self) {
        let index: u32 = serde_json::from_slice(&self.capture).unwrap_or(0);
        // What is beyond any answer is no number of one.
        let begun = if index < CHOICES_MAX { index + 1 } else { 0 };
        self.choices_begun = self.choices_begun.max(begun);
    }

    /// The captured value, a string, without its quotes (none of the words looked for has escapes).
    fn word(&self) -> &[u8] {
        if self.overflow { b"" } else { unquoted(&self.capture) }
    }
}

/// A JSON string without its quotes; nothing of any other value.
pub(super) fn unquoted(json: &[u8]) -> &[u8] {
    match json {
        [b'"', word @ .., b'"'] => word,
        _ => b"",
    }
}

impl Sink<Slot> for Facts {
    fn present(&mut self, slot: Slot) {
        match slot {
            Slot::Choices => self.choices = Some(true),
            Slot::Last => self.last = true,
            Slot::Maps => self.searches.maps(),
            Slot::Run => self.executed.run(),
            Slot::Found => self.executed.found(),
            // Whether what is in it stands in a list, its elements tell.
            Slot::ImageList => {}
            Slot::ImageMade => self.pieces.images += 1,
            Slot::ImageFailed => self.pieces.fails(),
            _ => self.generated = true,
        }
    }

    fn nothing(&mut self, slot: Slot) {
        match slot {
            Slot::Choices => drop(self.choices.get_or_insert(false)),
            Slot::ImageList | Slot::ImageMade => self.pieces.has_list = true,
            _ => {}
        }
    }

    fn text(&mut self, slot: Slot, piece: &[u8]) {
        if slot == Slot::CallName {
            self.executed.name(piece);
        }
        if self.kind != Some(Kind::Audio) {
            self.meter.string(slot, piece);
        }
    }

    fn text_end(&mut self, slot: Slot) {
        if slot == Slot::CallName {
            self.executed.name_end();
        }
        self.meter.delivered.end_string();
    }

    fn raw(&mut self, slot: Slot, piece: &[u8]) {
        match slot {
            Slot::InlineBytes => self.inline_media.has_bytes(piece.len()),
            _ => self.meter.raw(slot, piece),
        }
    }

    fn capture(&mut self, _: Slot, piece: &[u8]) {
        if self.capture.len() + piece.len() > CAPTURE_BYTES_MAX {
            self.overflow = true;
        } else {
            if self.capture.capacity() == 0 {
                self.capture.reserve(USUAL_BYTES);
            }
            self.capture.extend_from_slice(piece);
        }
    }

    fn captured(&mut self, slot: Slot) {
        match slot {
            Slot::Usage => {
                self.usage_object |= self.capture.first() == Some(&b'{');
                self.usage = self.report().or(self.usage.take());
            }
            Slot::UsageAside => self.usage_aside = self.report().or(self.usage_aside.take()),
            Slot::UsageInChoice => self.usage_in_choice = self.report().or(self.usage_in_choice.take()),
            Slot::UsageCounted => self.usage_counted = self.report().or(self.usage_counted.take()),
            Slot::UsageAtStart => self.usage_at_start = self.report().or(self.usage_at_start.take()),
            Slot::InlineType => self.inline_media.is_of_type(&self.capture),
            Slot::Thought => self.is_thought |= self.capture == b"true",
            Slot::Finish => self.finish(),
            Slot::ChoiceIndex => self.choice_index(),
            Slot::Error => {
                let json = if self.overflow { b"{".as_slice() } else { &self.capture };
                self.error = ErrorEvent::read(json).or(self.error.take());
            }
            Slot::Code => self.code = Some(self.capture.clone()),
            Slot::Outcome => self.outcome(),
            Slot::Message => self.message = Some(self.capture.clone()),
            Slot::Object => self.object_is_error = self.word() == b"error",
            Slot::Type => self.kind = self.kind.or(Some(kind_of(self.answer, self.word()))),
            Slot::InnerType => {
                self.opens_text = matches!(self.word(), b"text" | b"thinking" | b"message" | b"reasoning")
            }
            Slot::Tier => self.tier = serde_json::from_slice(&self.capture).unwrap_or_default(),
            Slot::Model => {
                self.of_gemini = Some(GEMINI.find(&self.capture).is_some());
                self.searches.model(&self.capture);
            }
            Slot::ImageQuality | Slot::ImageSize | Slot::AudioSeconds | Slot::SegmentEnd => {
                self.pieces.captured(slot, &self.capture)
            }
            Slot::Searches => self.searches.told = serde_json::from_slice(&self.capture).unwrap_or_default(),
            Slot::ItemType => self.searches.item(unquoted(&self.capture)),
            Slot::ActionType => self.searches.action(unquoted(&self.capture)),
            Slot::Container => self.searches.container(&self.capture),
            Slot::ToolType => self.searches.offered(unquoted(&self.capture)),
            Slot::RunIndex | Slot::RunKind => self.executed.member(slot, &self.capture),
            Slot::Queries => self.searches.queries(&self.capture),
            Slot::ToolModel => {
                let model: Option<String> = serde_json::from_slice(&self.capture).ok();
                self.tool_model = model.filter(|model| model.len() <= MODEL_BYTES_MAX).or(self.tool_model.take());
            }
            Slot::ImageTool => self.image_tool = serde_json::from_slice(&self.capture).ok(),
            Slot::InputCount => self.input_count = serde_json::from_slice(&self.capture).unwrap_or(Count::Bad),
            Slot::OutputCount => self.output_count = serde_json::from_slice(&self.capture).unwrap_or(Count::Bad),
            Slot::Choices
            | Slot::Generated
            | Slot::Text
            | Slot::Reasoning
            | Slot::ReasoningContent
            | Slot::ReasoningDetails
            | Slot::InlineBytes
            | Slot::SoundBytes
            | Slot::Last
            | Slot::ImageList
            | Slot::ImageMade
            | Slot::ImageFailed
            | Slot::CallName
            | Slot::Run
            | Slot::Found
            | Slot::Maps => {}
        }
        self.capture.clear();
        self.capture.shrink_to(KEEP_BYTES_MAX);
        self.overflow = false;
    }
}

/// A reason why generation ended: a word or (Gemini, with enums as integers) a number; not `null`, not the word for it
/// that DashScope sends until the end, nor Google's zero.
fn is_finish(json: &[u8]) -> bool {
    !matches!(json, b"null" | b"\"\"" | b"\"null\"" | b"0" | b"false" | b"\"FINISH_REASON_UNSPECIFIED\"" | b"")
}

/// What an event is for, by its type.
fn kind_of(answer: Answer, word: &[u8]) -> Kind {
    match (answer, word) {
        (_, b"error") => Kind::Error,
        (Answer::Messages, b"message_start") => Kind::Start,
        (Answer::Messages, b"message_delta") => Kind::Delta,
        (Answer::Messages, b"content_block_start") => Kind::Opening,
        (Answer::Messages, b"content_block_delta") => Kind::Generated,
        (Answer::Messages, b"message_stop") => Kind::Terminal,
        (Answer::Messages, _) => Kind::Other,
        (
            Answer::Responses,
            b"response.completed" | b"response.incomplete" | b"response.failed" | b"response.cancelled",
        ) => Kind::Terminal,
        (
            Answer::Responses,
            b"response.created"
            | b"response.queued"
            | b"response.in_progress"
            | b"response.content_part.added"
            | b"response.reasoning_part.added"
            | b"response.reasoning_summary_part.added",
        ) => Kind::Other,
        (Answer::Responses, b"response.output_item.added") => Kind::Opening,
        (Answer::Responses, b"response.audio.delta" | b"response.output_audio.delta") => Kind::Audio,
        (Answer::Responses, word) if word.starts_with(b"response.") => Kind::Generated,
        (Answer::Responses, _) => Kind::Other,
        (Answer::CohereChat, b"content-start") => Kind::Opening,
        (
            Answer::CohereChat,
            b"content-delta" | b"tool-plan-delta" | b"tool-call-start" | b"tool-call-delta" | b"citation-start",
        ) => Kind::Generated,
        (Answer::CohereChat, b"message-end") => Kind::Terminal,
        (Answer::CohereChat, _) => Kind::Other,
        // The second is Volcengine Ark's (docs.router.shengsuanyun.com/204175126d0), whose `completed` counts them all.
        (Answer::Image, word) if word.ends_with(b".completed") || word.ends_with(b".partial_succeeded") => Kind::Image,
        (_, word) if word.ends_with(b".completed") || word.ends_with(b".done") => Kind::Terminal,
        (_, b"speech.audio.delta") => Kind::Audio,
        (_, word) if word.contains(&b'.') => Kind::Generated,
        _ => Kind::Other,
    }
}
