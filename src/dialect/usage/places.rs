//! Where each kind of answer has its usage, its end, its errors and its text.
//!
//! These tables are the whole of what is believed: a value that stands anywhere else, however it looks, is content.

mod native;

use std::sync::LazyLock;

use crate::dialect::json::{Group, Places, Take};
use crate::dialect::shape::{Answer, Framing};

/// What a value is, by the place it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The answer's usage.
    Usage,
    /// The same again, in a vendor's own place (Groq) or in a weaker one; counts when there is no [`Slot::Usage`].
    UsageAside,
    /// In a choice (Moonshot); counts when the vendor's rules say so.
    UsageInChoice,
    /// What was counted, as against what is billed (Cohere); the last resort.
    UsageCounted,
    /// Anthropic's usage at the start of a stream.
    UsageAtStart,
    /// The list of choices.
    Choices,
    /// Which of several answers to one prompt this is of.
    ChoiceIndex,
    /// Why generation ended.
    Finish,
    /// Generated, whatever it is.
    Generated,
    /// Generated text.
    Text,
    /// Generated reasoning, under the names that some vendors send side by side with the same text.
    Reasoning,
    ReasoningContent,
    ReasoningDetails,
    /// Whether the text beside it is a thought.
    Thought,
    /// Generated media in Base64, and of what type they are (Gemini); sounds in Base64 (OpenAI's chat).
    InlineType,
    InlineBytes,
    SoundBytes,
    /// An error.
    Error,
    /// The parts of an error that is not in an object of its own.
    Code,
    Message,
    /// A code that says by not being zero that the answer failed.
    Outcome,
    /// OpenAI's `object`: `error` where an error is the whole event.
    Object,
    /// An event's type.
    Type,
    /// The type of the block or item that the event announces.
    InnerType,
    /// The service tier.
    Tier,
    /// The model.
    Model,
    /// Web searches run for the answer.
    Searches,
    /// What an item of the answer is, and what a tool did in it: where searches are not counted, they are told apart.
    ItemType,
    ActionType,
    /// Where a tool ran code.
    Container,
    /// A tool that the request offered.
    ToolType,
    /// A place of Google's Maps, as a source.
    Maps,
    /// The name of a call. It is text, too.
    CallName,
    /// A tool that ran (Groq), its number, and what it is; what a search found (Z.ai).
    Run,
    RunIndex,
    RunKind,
    Found,
    /// What Google was asked for the answer.
    Queries,
    /// Images made by a tool, billed beside the answer, and the model that the tool has.
    ImageTool,
    ToolModel,
    /// The list of images, and each of them.
    ImageList,
    ImageMade,
    /// What they are like.
    ImageQuality,
    ImageSize,
    /// An element of the list that is none: it failed.
    ImageFailed,
    /// How long the audio is that was heard, in seconds; where a part of it ends.
    AudioSeconds,
    SegmentEnd,
    /// Counts that stand by themselves, in no object (Ollama).
    InputCount,
    OutputCount,
    /// Present only at the stream's own end.
    Last,
}

use Slot::{
    ActionType, AudioSeconds, CallName, ChoiceIndex, Choices, Code, Container, Error, Finish, Found, Generated,
    ImageFailed, ImageList, ImageMade, ImageQuality, ImageSize, ImageTool, InlineBytes, InlineType, InnerType,
    ItemType, Maps, Message, Model, Object, Outcome, Queries, Reasoning, ReasoningContent, ReasoningDetails, Run,
    RunIndex, RunKind, Searches, SegmentEnd, SoundBytes, Text, Thought, Tier, ToolModel, ToolType, Type, Usage,
    UsageAside, UsageAtStart, UsageCounted, UsageInChoice,
};
use Take::{Capture, Presence, Raw};

type Rows = &'static [(&'static str, Slot, Take)];

const OPENAI_TOP: Rows = &[
    ("usage", Usage, Capture),
    ("x_groq.usage", UsageAside, Capture),
    ("service_tier", Tier, Capture),
    ("model", Model, Capture),
    ("error", Error, Capture),
    ("code", Code, Capture),
    ("message", Message, Capture),
    ("object", Object, Capture),
    // MiniMax (platform.minimax.io/docs/api-reference/errorcode), in every answer that is whole or none.
    ("base_resp.status_code", Outcome, Capture),
    ("base_resp.status_msg", Message, Capture),
    ("web_search.*", Found, Presence),
];

const CHOICES: Rows = &[
    ("choices", Choices, Presence),
    ("choices.*.usage", UsageInChoice, Capture),
    ("choices.*.index", ChoiceIndex, Capture),
    ("choices.*.finish_reason", Finish, Capture),
    // OpenRouter (openrouter.ai/docs/errors): what failed behind it, after it had begun.
    ("choices.*.error", Error, Capture),
    ("choices.*.text", Text, Take::Text),
];

/// Inside a chunk's `delta` or a document's `message`.
const DELTA: Rows = &[
    // Of an answer by a schema Cloudflare's is the object itself (recorded in github.com/posit-dev/chatlas, tests/_vcr).
    ("content", Text, Take::Text),
    ("content.*.text", Text, Take::Text),
    ("content.*.thinking.*.text", Text, Take::Text),
    ("reasoning", Reasoning, Take::Text),
    ("reasoning_content", ReasoningContent, Take::Text),
    ("reasoning_details", Generated, Presence),
    ("reasoning_details.*.text", ReasoningDetails, Take::Text),
    ("reasoning_details.*.summary", ReasoningDetails, Take::Text),
    ("refusal", Text, Take::Text),
    ("tool_calls", Generated, Presence),
    ("tool_calls.*.function.name", CallName, Take::Text),
    ("tool_calls.*.function.arguments", Text, Take::Text),
    ("tool_calls.*.custom.name", Text, Take::Text),
    ("tool_calls.*.custom.input", Text, Take::Text),
    ("function_call", Generated, Presence),
    ("function_call.name", Text, Take::Text),
    ("function_call.arguments", Text, Take::Text),
    ("audio", Generated, Presence),
    ("audio.transcript", Text, Take::Text),
    ("audio.data", SoundBytes, Raw),
    ("images", Generated, Presence),
    ("executed_tools.*", Run, Presence),
    ("executed_tools.*.index", RunIndex, Capture),
    ("executed_tools.*.type", RunKind, Capture),
    ("executed_tools.*.name", RunKind, Capture),
];

/// Inside Anthropic's `delta`.
const BLOCK_DELTA: Rows = &[
    ("text", Text, Take::Text),
    ("thinking", Text, Take::Text),
    ("partial_json", Text, Take::Text),
    ("stop_reason", Finish, Capture),
];

const ANTHROPIC_TOP: Rows = &[
    ("type", Type, Capture),
    ("usage", Usage, Capture),
    ("message.usage", UsageAtStart, Capture),
    ("message.model", Model, Capture),
    ("content_block.type", InnerType, Capture),
    ("content_block.text", Text, Take::Text),
    ("content_block.thinking", Text, Take::Text),
    ("error", Error, Capture),
];

const ANTHROPIC_DOCUMENT: Rows = &[
    ("usage", Usage, Capture),
    ("stop_reason", Finish, Capture),
    ("error", Error, Capture),
    ("content.*.text", Text, Take::Text),
    ("content.*.thinking", Text, Take::Text),
    ("content.*.input", Text, Raw),
];

const RESPONSE: Rows = &[
    ("usage", Usage, Capture),
    ("service_tier", Tier, Capture),
    ("model", Model, Capture),
    ("error", Error, Capture),
    ("tool_usage.web_search.num_requests", Searches, Capture),
    ("output.*.type", ItemType, Capture),
    ("output.*.action.type", ActionType, Capture),
    ("output.*.container_id", Container, Capture),
    // A hosted shell's (recorded in github.com/pydantic/pydantic-ai, test_openai_responses_shell_tool); one at the client has none.
    ("output.*.environment.container_id", Container, Capture),
    ("tool_usage.image_gen", ImageTool, Capture),
    // An answer repeats the request's tools; only one that makes images has a model.
    ("tools.*.type", ToolType, Capture),
    ("tools.*.model", ToolModel, Capture),
];

const RESPONSE_EVENT: Rows = &[
    ("type", Type, Capture),
    ("item.type", InnerType, Capture),
    ("delta", Text, Take::Text),
    ("error", Error, Capture),
    ("code", Code, Capture),
    ("message", Message, Capture),
];

const RESPONSE_OUTPUT: Rows = &[
    ("content.*.text", Text, Take::Text),
    ("content.*.refusal", Text, Take::Text),
    ("summary.*.text", Text, Take::Text),
    ("arguments", Text, Take::Text),
    ("input", Text, Take::Text),
    ("code", Text, Take::Text),
];

const GEMINI: Rows = &[
    ("usageMetadata", Usage, Capture),
    ("modelVersion", Model, Capture),
    ("error", Error, Capture),
    ("promptFeedback.blockReason", Finish, Capture),
    ("candidates.*.index", ChoiceIndex, Capture),
    ("candidates.*.groundingMetadata.webSearchQueries", Queries, Capture),
    ("candidates.*.groundingMetadata.groundingChunks.*.maps", Maps, Presence),
    ("candidates.*.finishReason", Finish, Capture),
];

const GEMINI_PART: Rows = &[
    ("text", Text, Take::Text),
    ("thought", Thought, Capture),
    ("functionCall", Generated, Presence),
    ("functionCall.name", Text, Take::Text),
    ("functionCall.args", Text, Raw),
    ("executableCode", Generated, Presence),
    ("executableCode.code", Text, Take::Text),
    ("codeExecutionResult", Generated, Presence),
    ("inlineData", Generated, Presence),
    ("inlineData.mimeType", InlineType, Capture),
    ("inlineData.data", InlineBytes, Raw),
];

/// Events of OpenAI's image, speech and transcription streams.
const MEDIA_EVENT: Rows = &[
    ("type", Type, Capture),
    ("usage", Usage, Capture),
    ("error", Error, Capture),
    ("delta", Text, Take::Text),
    ("message", Message, Capture),
    ("code", Code, Capture),
];

/// Documents whose only interest is their usage: embeddings, images, moderation, rerank. Cohere's shapes beside
/// OpenAI's: what is billed before what was counted.
const PLAIN: Rows = &[
    ("usage", Usage, Capture),
    ("usageMetadata", UsageAside, Capture),
    ("meta.billed_units", UsageAside, Capture),
    ("meta.tokens", UsageCounted, Capture),
    ("tokens", UsageCounted, Capture),
    ("model", Model, Capture),
    ("error", Error, Capture),
];

/// What was made in a document of images, and what they are like (platform.openai.com/docs/api-reference/images/object).
/// One that failed has an error in its place (Volcengine Ark's), and who failed altogether may say so by a code.
const IMAGES: Rows = &[
    ("data", ImageList, Presence),
    ("data.*", ImageMade, Presence),
    ("data.*.error", ImageFailed, Presence),
    ("code", Code, Capture),
    ("message", Message, Capture),
    ("msg", Message, Capture),
];
/// There, and in the event of an image that is complete (platform.openai.com/docs/api-reference/images-streaming).
const IMAGE_WORDS: Rows = &[("quality", ImageQuality, Capture), ("size", ImageSize, Capture)];

/// `duration`, `segments`: of `verbose_json` (platform.openai.com/docs/api-reference/audio/verbose-json-object), of Groq's and Fireworks'
/// likewise. Some answer with a JSON string alone.
const TRANSCRIPTION: Rows = &[
    ("usage", Usage, Capture),
    ("duration", AudioSeconds, Capture),
    ("model", Model, Capture),
    ("error", Error, Capture),
    ("segments.*.end", SegmentEnd, Capture),
    ("text", Text, Take::Text),
    ("", Text, Take::Text),
];

const GEMINI_PLAIN: Rows = &[("usageMetadata", Usage, Capture), ("error", Error, Capture)];

/// Answers that use nothing.
const NOTHING: Rows = &[("error", Error, Capture)];

/// What it is for, in a stream (`true`) or a document (`false`), and its places.
type Table = (&'static [Answer], bool, &'static [Group<Slot>]);

/// Every table.
static TABLES: [Table; 14] = [
    (CHAT, true, &[("", OPENAI_TOP), ("", CHOICES), ("choices.*.delta", DELTA)]),
    (CHAT, false, &[("", OPENAI_TOP), ("", CHOICES), ("choices.*.message", DELTA)]),
    (&[Answer::Messages], true, &[("", ANTHROPIC_TOP), ("delta", BLOCK_DELTA)]),
    (&[Answer::Messages], false, &[("", ANTHROPIC_DOCUMENT)]),
    (&[Answer::Responses], true, &[("", RESPONSE_EVENT), ("response", RESPONSE)]),
    (&[Answer::Responses], false, &[("", RESPONSE), ("output.*", RESPONSE_OUTPUT)]),
    (&[Answer::GenerateContent], true, &[("", GEMINI), ("candidates.*.content.parts.*", GEMINI_PART)]),
    (&[Answer::GenerateContent], false, &[("", GEMINI), ("candidates.*.content.parts.*", GEMINI_PART)]),
    (&[Answer::Image], true, &[("", MEDIA_EVENT), ("", IMAGE_WORDS)]),
    (&[Answer::Image], false, &[("", PLAIN), ("", IMAGES), ("", IMAGE_WORDS)]),
    (&[Answer::Speech, Answer::Transcription], true, &[("", MEDIA_EVENT)]),
    (&[Answer::Transcription], false, &[("", TRANSCRIPTION)]),
    (&[Answer::EmbedContent, Answer::BatchEmbedContents], false, &[("", GEMINI_PLAIN)]),
    (&[Answer::Embeddings, Answer::Moderation, Answer::Rerank, Answer::Speech], false, &[("", PLAIN)]),
];

const CHAT: &[Answer] = &[Answer::Chat, Answer::Completion];

static PLACES: LazyLock<Vec<Places<Slot>>> =
    LazyLock::new(|| tables().map(|(_, _, groups)| Places::new(groups)).collect());
static NO_PLACES: LazyLock<Places<Slot>> = LazyLock::new(|| Places::new(&[("", NOTHING)]));
static IN_DELTA: LazyLock<Places<Slot>> = LazyLock::new(|| Places::new(&[("", DELTA)]));
static IN_PARTS: LazyLock<Places<Slot>> = LazyLock::new(|| Places::new(&[("*", GEMINI_PART)]));
static IN_BLOCK_DELTA: LazyLock<Places<Slot>> = LazyLock::new(|| Places::new(&[("", BLOCK_DELTA)]));

fn tables() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().chain(&native::TABLES)
}

/// The places of an answer's events or of its document.
pub(super) fn places(answer: Answer, framing: Framing) -> &'static Places<Slot> {
    let streamed = framing != Framing::JsonDocument;
    let row = |streamed| tables().position(|(answers, stream, _)| *stream == streamed && answers.contains(&answer));
    row(streamed).or_else(|| row(!streamed)).map_or(&NO_PLACES, |row| &PLACES[row])
}

/// The places inside what an event adds: a `delta` object, Gemini's `parts`.
pub(super) fn places_in_delta(answer: Answer) -> &'static Places<Slot> {
    match answer {
        Answer::Messages => &IN_BLOCK_DELTA,
        Answer::GenerateContent => &IN_PARTS,
        _ => &IN_DELTA,
    }
}

#[cfg(test)]
mod tests {
    use super::tables;

    #[test]
    fn every_path_is_within_the_walks_reach() {
        for (_, _, groups) in tables() {
            for (prefix, rows) in *groups {
                for (path, ..) in *rows {
                    let steps = prefix.split('.').chain(path.split('.')).filter(|step| !step.is_empty()).count();
                    assert!(steps <= 10, "{prefix}.{path}");
                    assert!(path.split('.').all(|step| step.len() <= 32), "{prefix}.{path}");
                }
            }
        }
    }
}
