//! What vendors write into an answer, or a chunk of one. What is of another type than expected is as good as absent.

use super::reasoning_details::Detail;
use crate::dialect::chat::error::Refusal;
use crate::dialect::chat::json::{self, Text, text_or_json};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A value of this type, or none at all.
#[derive(Clone, Debug)]
pub(super) struct Loose<T>(pub(super) Option<T>);

impl<T> Default for Loose<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = <&'de RawValue>::deserialize(from)?;
        // Many write every member that there is.
        let value = Some(value.get()).filter(|json| *json != "null");
        Ok(Self(value.and_then(|json| serde_json::from_str(json).ok())))
    }
}

impl<'a> Loose<Text<'a>> {
    /// The text, unless it is empty.
    pub(super) fn filled(&mut self) -> Option<Cow<'a, str>> {
        json::filled(self.0.take())
    }
}

impl<T> Loose<Vec<T>> {
    /// The elements.
    pub(super) fn list(&mut self) -> Vec<T> {
        self.0.take().unwrap_or_default()
    }
}

/// A chunk, or a whole answer.
#[derive(Debug, Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) id: Loose<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) model: Loose<Text<'a>>,
    #[serde(default)]
    pub(super) created: Loose<i64>,
    #[serde(borrow, default)]
    pub(super) object: Loose<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) choices: Option<Vec<ChoiceChunk<'a>>>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    /// Perplexity's pages, in every chunk: their addresses.
    #[serde(borrow, default)]
    pub(super) citations: Option<&'a RawValue>,
    /// The same, with titles and snippets.
    #[serde(borrow, default)]
    pub(super) search_results: Option<&'a RawValue>,
    /// MiniMax's: whether it failed.
    #[serde(borrow, default)]
    pub(super) base_resp: Loose<Outcome<'a>>,
}

/// A code, and what it means.
#[derive(Debug, Deserialize)]
pub(super) struct Outcome<'a> {
    #[serde(default)]
    status_code: Loose<u64>,
    #[serde(borrow, default)]
    status_msg: Loose<Text<'a>>,
}

impl<'a> Loose<Outcome<'a>> {
    /// What went wrong, unless nothing did.
    pub(super) fn refusal(&mut self) -> Option<Refusal<'a>> {
        let mut outcome = self.0.take()?;
        let code = outcome.status_code.0.filter(|code| *code != 0)?;
        Some(Refusal::of_code(code, outcome.status_msg.filled()))
    }
}

/// `null`, or absent; anything else is an error.
type Nothing = Option<()>;

/// Nearly every chunk of a stream: one choice's next piece of text, and nothing else that [`Chunk`] would take. It is read
/// at once; a chunk that is not so plain is an error here.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "what must be absent is read to see that it is")]
pub(super) struct PlainChunk<'a> {
    #[serde(borrow)]
    pub(super) choices: (PlainChoice<'a>,),
    #[serde(default)]
    error: Nothing,
    #[serde(default)]
    citations: Nothing,
    #[serde(default)]
    search_results: Nothing,
    #[serde(default)]
    base_resp: Nothing,
}

/// A plain chunk's choice.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "as above")]
pub(super) struct PlainChoice<'a> {
    pub(super) index: u32,
    #[serde(borrow)]
    pub(super) delta: PlainDelta<'a>,
    #[serde(default)]
    message: Nothing,
    #[serde(default)]
    finish_reason: Nothing,
    #[serde(default)]
    stop_reason: Nothing,
    #[serde(default)]
    logprobs: Nothing,
    #[serde(default)]
    error: Nothing,
}

/// A plain chunk's text.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "as above")]
pub(super) struct PlainDelta<'a> {
    #[serde(borrow)]
    pub(super) content: Text<'a>,
    #[serde(default)]
    refusal: Nothing,
    #[serde(default)]
    reasoning_content: Nothing,
    #[serde(default)]
    reasoning: Nothing,
    #[serde(default)]
    reasoning_details: Nothing,
    #[serde(default)]
    tool_calls: Nothing,
    #[serde(default)]
    function_call: Nothing,
    #[serde(default)]
    annotations: Nothing,
    #[serde(default)]
    images: Nothing,
    #[serde(default)]
    audio: Nothing,
    #[serde(default)]
    extra_content: Nothing,
}

/// What a chunk says of one choice.
#[derive(Debug, Deserialize)]
pub(super) struct ChoiceChunk<'a> {
    #[serde(default)]
    pub(super) index: Loose<u32>,
    #[serde(borrow, default)]
    pub(super) delta: Loose<Delta<'a>>,
    /// In a whole answer; Perplexity has all of it so far in every chunk too.
    #[serde(borrow, default)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Loose<Text<'a>>,
    /// vLLM's: the stop sequence.
    #[serde(borrow, default)]
    pub(super) stop_reason: Loose<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) logprobs: Loose<Logprobs<'a>>,
    /// OpenRouter's: what went wrong with this choice.
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

/// Log probabilities.
#[derive(Debug, Deserialize)]
pub(super) struct Logprobs<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<&'a RawValue>,
}

/// A message, or what is new of it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Delta<'a> {
    /// A text; Mistral's reasoning models have arrays of parts.
    #[serde(borrow, default)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) refusal: Loose<Text<'a>>,
    /// DeepSeek, Qwen, xAI, Zhipu, llama.cpp …
    #[serde(borrow, default)]
    pub(super) reasoning_content: Loose<Text<'a>>,
    /// OpenRouter, Groq, Ollama, newer vLLM.
    #[serde(borrow, default)]
    pub(super) reasoning: Loose<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) reasoning_details: Loose<Vec<Detail<'a>>>,
    #[serde(borrow, default)]
    pub(super) tool_calls: Loose<Vec<CallChunk<'a>>>,
    #[serde(borrow, default)]
    pub(super) function_call: Loose<FunctionChunk<'a>>,
    #[serde(borrow, default)]
    pub(super) annotations: Loose<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    pub(super) images: Loose<Vec<PartChunk<'a>>>,
    #[serde(borrow, default)]
    pub(super) audio: Loose<AudioChunk<'a>>,
    #[serde(borrow, default)]
    pub(super) extra_content: Loose<Extra<'a>>,
}

/// A tool call, or what is new of it.
#[derive(Debug, Deserialize)]
pub(super) struct CallChunk<'a> {
    #[serde(default)]
    pub(super) index: Loose<u64>,
    #[serde(borrow, default)]
    pub(super) id: Loose<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) function: Loose<FunctionChunk<'a>>,
    #[serde(borrow, default)]
    pub(super) extra_content: Loose<Extra<'a>>,
}

impl<'a> CallChunk<'a> {
    /// OpenAI's first form of it: one function.
    pub(super) fn of(function: FunctionChunk<'a>) -> Self {
        let (id, extra_content) = (Loose(None), Loose(None));
        Self { index: Loose(Some(0)), id, function: Loose(Some(function)), extra_content }
    }
}

/// A call's name and arguments.
#[derive(Debug, Default, Deserialize)]
pub(super) struct FunctionChunk<'a> {
    #[serde(borrow, default)]
    pub(super) name: Loose<Text<'a>>,
    /// A text; some servers have the object itself.
    #[serde(borrow, default)]
    pub(super) arguments: Option<&'a RawValue>,
}

impl<'a> FunctionChunk<'a> {
    /// The arguments' text.
    pub(super) fn arguments(&self) -> Cow<'a, str> {
        self.arguments.map_or(Cow::Borrowed(""), text_or_json)
    }
}

/// A part of content in an array, or a picture.
#[derive(Debug, Deserialize)]
pub(super) struct PartChunk<'a> {
    #[serde(borrow, default)]
    pub(super) text: Loose<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) refusal: Loose<Text<'a>>,
    /// Mistral's thoughts: parts of their own, or a text.
    #[serde(borrow, default)]
    pub(super) thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) image_url: Loose<Address<'a>>,
}

impl<'a> PartChunk<'a> {
    /// The thoughts' texts.
    pub(super) fn thoughts(&self) -> Vec<Cow<'a, str>> {
        let Some(thinking) = self.thinking else { return Vec::new() };
        if let Ok(text) = serde_json::from_str::<Text<'a>>(thinking.get()) {
            return vec![text.0];
        }
        let parts: Vec<PartChunk<'a>> = serde_json::from_str(thinking.get()).unwrap_or_default();
        parts.into_iter().filter_map(|mut part| part.text.filled()).collect()
    }
}

/// Where a picture is.
#[derive(Debug, Deserialize)]
pub(super) struct Address<'a> {
    #[serde(borrow, default)]
    pub(super) url: Loose<Text<'a>>,
}

/// Sound, or what is new of it.
#[derive(Debug, Deserialize)]
pub(super) struct AudioChunk<'a> {
    #[serde(borrow, default)]
    pub(super) data: Loose<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) transcript: Loose<Text<'a>>,
}

/// What vendors add in a place of their own.
#[derive(Debug, Deserialize)]
pub(super) struct Extra<'a> {
    #[serde(borrow, default)]
    google: Loose<Google<'a>>,
}

#[derive(Debug, Deserialize)]
struct Google<'a> {
    #[serde(borrow, default)]
    thought_signature: Loose<Text<'a>>,
}

impl<'a> Loose<Extra<'a>> {
    /// The signature of a text or of a call.
    pub(super) fn signature(&mut self) -> Option<Cow<'a, str>> {
        self.0.take().and_then(|extra| extra.google.0).and_then(|mut google| google.thought_signature.filled())
    }
}
