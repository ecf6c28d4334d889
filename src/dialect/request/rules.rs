//! What is done with a value of the body, by its place.

use super::media::{self, Mime};
use super::pieces::{NO_SERIES, NO_WORD};
use super::places::Place;
use super::splice::{ModelEdit, UsageEdit};
use super::text_sink::push_line;
use super::walk::Walk;
use super::{BATCH_MAX, CHOICES_MAX, MODEL_BYTES_MAX, OUTPUT_TOKENS_MAX, check_model, refusal, tier};
use crate::dialect::DialectId;
use crate::dialect::endpoint::model_name;
use serde_json::value::RawValue;
use tollgate_plugin_api::{Reject, ServiceTier};

/// What is added to a prompt that has tools, at most: Claude gets 264 to 804 tokens, by Anthropic's tool use guide, through
/// whatever dialect it is called.
pub(super) const TOOL_PROMPT_TOKENS: u64 = 1_024;
/// What one of Anthropic's own client-side tools (bash, text editor, computer, memory) adds, at most: 245 to 735 tokens, by
/// the same guide.
const CLIENT_TOOL_TOKENS: u64 = 2_048;
/// What a document that is to be cited adds, at most, the first of them more than others: 566 tokens were counted of a body of 329 bytes
/// (recorded in github.com/langchain-ai/langchain, libs/partners/anthropic, `test_citations`).
const CITATIONS_TOKENS: u64 = 1_024;
/// Beginnings of those tools' types.
const CLIENT_TOOLS: [&str; 4] = ["bash_", "text_editor_", "computer_", "memory_"];

/// The same of OpenAI's, by their types; 642 tokens were counted of a request of 189 bytes with `apply_patch`
/// (recorded in github.com/langchain-ai/langchain, libs/partners/openai, `test_apply_patch`).
const RESPONSES_CLIENT_TOOLS: [&str; 4] = ["apply_patch", "local_shell", "computer", "computer_use_preview"];

/// Beginnings of the types of OpenRouter's tools by which models answer that the request or the model itself names; what they used is
/// "folded into the parent request" (openrouter.ai/tool/advisor; openrouter.ai/docs/guides/features/server-tools: fusion, subagent).
/// Anthropic's advisor reports its own, which is billed at its own price.
const OTHER_MODEL_TOOLS: [&str; 3] = ["openrouter:advisor", "openrouter:fusion", "openrouter:subagent"];
/// And such plugins (openrouter.ai/docs/guides/features/plugins/fusion).
const OTHER_MODEL_PLUGINS: [&str; 1] = ["fusion"];
/// The most characters that a refusal repeats of such a name.
const HELPER_CHARS_MAX: usize = 40;

/// Who says it where a message is a cache's number: "cache_id=…" (platform.moonshot.cn/docs/api/caching).
const CACHE_ROLE: &str = "cache";
/// How a text begins in whose place uploaded files are read, in any dialect that is translated into Alibaba's
/// (alibabacloud.com/help/en/model-studio/long-context-qwen-long).
const FILE_SCHEME: &str = "fileid://";

/// The type that a content part or a source says it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Untold,
    Other,
    Base64,
    GeneratedImage,
    Reference,
}

/// What an object's members say about each other, judged at its end since their order is free.
#[derive(Default)]
pub(super) struct Frame {
    kind: Kind,
    has_id: bool,
    is_off: bool,
    mime: Mime,
    payload_bytes: u64,
}

/// A value that is not a container, and containers where none may be.
#[derive(Clone, Copy)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Whole(u64),
    Number(f64),
    Text(&'a str),
    List,
    Object,
}

/// A member's name as an error tells it.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) prefix: &'static str,
    pub(super) key: &'static str,
}

impl Name {
    pub(super) const NONE: Self = Self { prefix: "", key: "" };

    fn refuse(self, what: &str) -> Reject {
        let name = format!("{}{}", self.prefix, self.key);
        let message = format!("`{name}` {what}");
        refusal(&name, &message)
    }
}

impl Walk<'_> {
    fn add_medium(&mut self, mime: Mime, bytes: u64) {
        match mime {
            Mime::Text => return,
            Mime::Image => self.facts.images += 1,
            Mime::Other => self.facts.refers_elsewhere = true,
        }
        self.media_bytes += bytes;
        self.facts.media_parts += 1;
    }

    /// The end of an object.
    pub(super) fn close(&mut self, place: Place, frame: &Frame) {
        match (place, frame.kind) {
            (Place::Source, Kind::Base64) | (Place::Inline, _) if frame.payload_bytes > 0 => {
                self.add_medium(frame.mime, frame.payload_bytes);
            }
            (Place::Part, Kind::GeneratedImage) if frame.payload_bytes > 0 => {
                self.add_medium(Mime::Image, frame.payload_bytes);
            }
            (Place::Search, _) => self.facts.refers_elsewhere |= !frame.is_off,
            (Place::Part, Kind::Reference) => self.facts.refers_elsewhere = true,
            // A reference's type may be left out (github.com/openai/openai-openapi, `ItemReferenceParam`).
            (Place::Part, Kind::Untold) if frame.has_id && self.dialect == DialectId::OpenAiResponses => {
                self.facts.refers_elsewhere = true;
            }
            _ => {}
        }
    }

    pub(super) fn scalar(
        &mut self,
        place: Place,
        name: Name,
        frame: &mut Frame,
        value: Scalar<'_>,
    ) -> Result<(), Reject> {
        match (place, value) {
            (Place::ToolKind | Place::ClaudeToolKind | Place::PluginId, Scalar::Text(word))
                if is_helper(place, word) =>
            {
                return Err(refused_helper(place, word));
            }
            (
                Place::Elsewhere | Place::Search | Place::Plugin,
                Scalar::Null | Scalar::Bool(false) | Scalar::Text("") | Scalar::List,
            ) => {}
            (Place::Search, Scalar::Object) => {}
            (Place::CitationsSwitch, Scalar::Bool(true)) => self.tool_tokens += CITATIONS_TOKENS,
            (Place::SearchSwitch, value) => frame.is_off = matches!(value, Scalar::Bool(false)),
            (Place::Elsewhere | Place::Search | Place::Plugin, _) => self.facts.refers_elsewhere = true,
            (Place::ImageQuality | Place::ImageSize, Scalar::Null) => {}
            (Place::ImageSeries, Scalar::Null | Scalar::Bool(false) | Scalar::Text(NO_SERIES)) => {}
            (Place::ImageSeries, _) => self.facts.pieces.asks_for_series(),
            (Place::ImageQuality, value) => self.facts.pieces.note("quality", word(value)),
            (Place::ImageSize, value) => self.facts.pieces.note("size", word(value)),
            _ if place.is_of_thinking() => self.thought(place, value),
            (_, Scalar::Text(text)) if !is_setting(place) => self.content(place, frame, text),
            _ if is_setting(place) => self.setting(place, name, value)?,
            (Place::Tool | Place::ClaudeTool | Place::Functions, Scalar::Object) => self.has_tools = true,
            (Place::PromptItem, Scalar::List) => self.prompts += 1,
            (Place::Embedded, Scalar::List) => self.facts.refers_elsewhere = true,
            (Place::Spoken, Scalar::Null | Scalar::List) => {}
            (Place::Spoken, _) => self.facts.pieces.speaks_otherwise(),
            _ => {}
        }
        Ok(())
    }

    /// A string in the prompt, or in nothing.
    fn content(&mut self, place: Place, frame: &mut Frame, text: &str) {
        let bytes = text.len() as u64;
        self.note_reference(text);
        match place {
            Place::Kind => frame.kind = kind(text),
            Place::Role => {
                self.facts.refers_elsewhere |= text == CACHE_ROLE;
                frame.kind = if frame.kind == Kind::Untold { Kind::Other } else { frame.kind };
                self.collect(text);
            }
            Place::Id => {
                frame.has_id = true;
                self.collect(text);
            }
            Place::Mime => frame.mime = Mime::of(text),
            Place::Payload => frame.payload_bytes = bytes,
            Place::ToolKind if RESPONSES_CLIENT_TOOLS.contains(&text) => self.tool_tokens += CLIENT_TOOL_TOKENS,
            Place::ToolKind => self.facts.refers_elsewhere |= !matches!(text, "function" | "custom" | "namespace"),
            Place::ClaudeToolKind if CLIENT_TOOLS.iter().any(|tool| text.starts_with(tool)) => {
                self.tool_tokens += CLIENT_TOOL_TOKENS;
            }
            Place::ClaudeToolKind => self.facts.refers_elsewhere |= text != "custom",
            Place::ImageUrl | Place::FileBytes => match Mime::of_data_url(text) {
                Some(mime) => self.add_medium(mime, bytes),
                None => self.facts.refers_elsewhere = true,
            },
            Place::OtherUrl | Place::Audio => {
                self.facts.refers_elsewhere = true;
                if place == Place::Audio || Mime::of_data_url(text).is_some() {
                    self.add_medium(Mime::Other, bytes);
                }
            }
            // Alibaba takes an address there, and a data URL (alibabacloud.com/help/en/model-studio/qwen-omni). There is no
            // colon in base64.
            Place::AudioBytes if text.contains(':') && Mime::of_data_url(text).is_none() => {
                self.facts.refers_elsewhere = true;
                self.facts.pieces.hears_elsewhere();
            }
            Place::AudioBytes => {
                // Base64 has four letters for three bytes.
                self.facts.pieces.hears(text.len().div_ceil(4) * 3);
                self.media_bytes += bytes;
                self.facts.media_parts += 1;
                self.facts.media_tokens += media::audio_tokens_bound(bytes);
            }
            Place::Spoken => {
                self.facts.pieces.speaks(text);
                self.collect(text);
            }
            Place::Embedded | Place::EmbeddedItem => {
                self.facts.refers_elsewhere = true;
                self.embedded += 1;
            }
            Place::Prompts | Place::PromptItem => {
                self.prompts += u64::from(place == Place::PromptItem);
                self.collect(text);
            }
            _ => self.collect(text),
        }
    }

    /// A text anywhere, which may be no text to the model.
    pub(super) fn note_reference(&mut self, text: &str) {
        self.facts.refers_elsewhere |= text.trim_start().starts_with(FILE_SCHEME);
    }

    pub(super) fn collect(&mut self, text: &str) {
        if let Some(sink) = self.sink.as_mut().filter(|_| self.collects) {
            push_line(sink, text);
        }
    }

    /// A value that the gateway acts on. Null is as good as absent.
    fn setting(&mut self, place: Place, name: Name, value: Scalar<'_>) -> Result<(), Reject> {
        match (place, value) {
            (_, Scalar::Null) => {}
            (Place::Stream, Scalar::Bool(on)) => self.facts.stream = on,
            (Place::Stream, _) => return Err(name.refuse("must be true or false")),
            (Place::StreamFormat, Scalar::Text(format)) => self.facts.stream |= format == "sse",
            (Place::Background, Scalar::Bool(false)) => {}
            (Place::Background, _) => {
                return Err(name.refuse("is not supported: what an answer uses that is fetched later cannot be billed"));
            }
            (Place::Predicted, Scalar::Number(number)) if number < 0.0 => self.output.is_unlimited = true,
            (Place::Predicted, _) => self.output.predicted = self.whole(name, value, OUTPUT_TOKENS_MAX)?,
            (Place::OutputMax | Place::AnswerMax, _) => {
                let limit = self.whole(name, value, OUTPUT_TOKENS_MAX)?;
                self.output.limits_answer_alone |= place == Place::AnswerMax;
                self.output.tokens_max = self.output.tokens_max.max(Some(limit));
            }
            (Place::Choices, _) => {
                let choices = self.whole(name, value, CHOICES_MAX)?;
                if choices == 0 {
                    return Err(name.refuse("must be at least 1"));
                }
                self.facts.choices = self.facts.choices.max(choices);
            }
            (Place::Images, _) => {
                let images = self.whole(name, value, CHOICES_MAX)?;
                self.facts.pieces.asks_for(images);
            }
            (Place::ServiceTier | Place::Speed, Scalar::Text(word)) => {
                // OpenAI's word for what the account has ("Project service tier settings": "omit service_tier or set it to auto").
                self.output.names_tier |= place == Place::ServiceTier && word != "auto";
                // Of two words for it the dearer one counts: what is asked for has to have a price.
                let (asked, named) = (self.facts.service_tier, tier(word));
                if asked == ServiceTier::Standard || named.dearness() > asked.dearness() {
                    self.facts.service_tier = named;
                }
            }
            (Place::OtherModels, Scalar::List | Scalar::Text("")) => {}
            (Place::OtherModels, _) => {
                return Err(name.refuse("is not supported: a request is admitted and priced for one model"));
            }
            _ => return Err(name.refuse("must be a string")),
        }
        Ok(())
    }

    /// A whole number from 0. Google's JSON also takes one in a string.
    fn whole(&self, name: Name, value: Scalar<'_>, max: u64) -> Result<u64, Reject> {
        // 2^53: below it every whole float is exact.
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        let number = match value {
            Scalar::Whole(number) => Some(number),
            Scalar::Number(number) if (0.0..=EXACT_MAX).contains(&number) && number.fract() == 0.0 => {
                Some(number as u64)
            }
            Scalar::Text(digits) if self.dialect == DialectId::Gemini => digits.parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if number <= max => Ok(number),
            Some(_) => Err(name.refuse(&format!("must be at most {max}"))),
            None => Err(name.refuse("must be a whole number, not negative")),
        }
    }

    /// What is said of thinking; values that mean nothing are the provider's to refuse.
    fn thought(&mut self, place: Place, value: Scalar<'_>) {
        let asked = &mut self.output.thinking;
        match (place, value) {
            (Place::ThinkingSwitch, Scalar::Bool(on)) => asked.switch = Some(on),
            (Place::ThinkingBudget, Scalar::Whole(tokens)) => asked.budget_tokens = Some(tokens),
            (Place::ThinkingType, Scalar::Text(word)) => {
                asked.mode = Some(word != "disabled");
                self.output.thinks_by_budget = word == "enabled";
            }
            (Place::ThinkingSwitch | Place::ThinkingBudget | Place::ThinkingType, _) => {}
            (_, Scalar::Null | Scalar::Object) => {}
            (_, value) => {
                let refuses =
                    matches!(value, Scalar::Bool(false) | Scalar::Whole(0) | Scalar::Text("none" | "disabled"));
                asked.effort = Some(!refuses || asked.effort == Some(true));
            }
        }
    }

    /// `model`, as it is written.
    pub(super) fn model(&mut self, place: Place, raw: &RawValue) -> Result<(), Reject> {
        let range = self.range(raw);
        if place == Place::Model && raw.get() == "null" {
            self.edits.model = ModelEdit::Null(range);
            return Ok(());
        }
        if !raw.get().starts_with('"') {
            return Err(refusal("model", "`model` must be a string"));
        }
        // Each byte of a name takes at most six as an escape.
        if raw.get().len() > MODEL_BYTES_MAX * 6 + 2 {
            return Err(refusal("model", "`model` is too long"));
        }
        let name: String =
            serde_json::from_str(raw.get()).map_err(|_| refusal("model", "`model` has a broken escape"))?;
        check_model(&name)?;
        if place == Place::Model {
            self.facts.model = Some(name);
            self.edits.model = ModelEdit::Value(range);
            return Ok(());
        }
        if self.path_model.is_some_and(|model| model != model_name(&name)) {
            return Err(refusal("model", "`model` differs from the model in the path"));
        }
        if self.edits.inner_models.len() >= BATCH_MAX {
            return Err(refusal("requests", &format!("`requests` has more than {BATCH_MAX} requests")));
        }
        self.edits.inner_models.push(range);
        Ok(())
    }

    /// `stream_options`, as it is written.
    pub(super) fn stream_options(&mut self, raw: &RawValue, depth: usize) -> Result<(), Reject> {
        let range = self.range(raw);
        if raw.get() == "null" {
            self.edits.usage = UsageEdit::Null(range);
            return Ok(());
        }
        let Some(inside) = raw.get().strip_prefix('{') else {
            return Err(refusal("stream_options", "`stream_options` must be an object"));
        };
        self.edits.usage = UsageEdit::Member { at: range.start + 1, alone: inside.trim_ascii_start().starts_with('}') };
        self.value(raw.get(), Place::StreamOptions, depth)
    }

    pub(super) fn include_usage(&mut self, raw: &RawValue) -> Result<(), Reject> {
        self.edits.usage = match raw.get() {
            "true" => UsageEdit::Set,
            "false" | "null" => UsageEdit::Value(self.range(raw)),
            _ => {
                let name = Name { prefix: Place::StreamOptions.prefix(), key: "include_usage" };
                return Err(name.refuse("must be true or false"));
            }
        };
        self.facts.wants_usage_chunk = self.edits.usage == UsageEdit::Set;
        Ok(())
    }
}

/// Whether a tool of this type, or a plugin of this name, has other models answer.
fn is_helper(place: Place, word: &str) -> bool {
    match place {
        Place::PluginId => OTHER_MODEL_PLUGINS.contains(&word),
        _ => OTHER_MODEL_TOOLS.iter().any(|tool| word.starts_with(tool)),
    }
}

fn refused_helper(place: Place, word: &str) -> Reject {
    let field = if place == Place::PluginId { "plugins" } else { "tools" };
    let word: String = word.chars().take(HELPER_CHARS_MAX).collect();
    let message = format!(
        "`{field}`: {word:?} is not supported: other models answer there, and a request is admitted and priced for one"
    );
    refusal(field, &message)
}

/// What is asked for of images: a list or a number is no word for it.
fn word(value: Scalar<'_>) -> &str {
    match value {
        Scalar::Text(text) => text,
        _ => NO_WORD,
    }
}

/// Places whose values the gateway acts on, so that their types matter.
fn is_setting(place: Place) -> bool {
    matches!(
        place,
        Place::Stream
            | Place::StreamFormat
            | Place::OutputMax
            | Place::AnswerMax
            | Place::Predicted
            | Place::Choices
            | Place::Images
            | Place::ServiceTier
            | Place::Speed
            | Place::Background
            | Place::OtherModels
    )
}

fn kind(word: &str) -> Kind {
    match word {
        "base64" => Kind::Base64,
        "image_generation_call" => Kind::GeneratedImage,
        "item_reference" => Kind::Reference,
        _ => Kind::Other,
    }
}
