//! What happens in an answer, in no dialect's words.

use super::json::Json;
use super::signature::Signature;
use std::borrow::Cow;
use tollgate_plugin_api::Metered;

/// How an answer begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin<'a> {
    /// The provider's id of it.
    pub id: Option<Cow<'a, str>>,
    /// The model that the provider says it is.
    pub model: Option<Cow<'a, str>>,
    /// When the provider says it was made, in Unix seconds.
    pub created_s: Option<i64>,
}

/// Whether thoughts are themselves or a summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningKind {
    /// The model's own words.
    #[default]
    Full,
    /// A summary of them.
    Summary,
}

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason<'a> {
    /// It was done.
    Stop,
    /// It came to one of the request's stop sequences; which, where that is told.
    StopSequence(Option<Cow<'a, str>>),
    /// The output limit, or the context window.
    Length,
    /// It waits for results of tools.
    ToolCalls,
    /// It declined.
    Refusal,
    /// The provider's filter cut it off.
    ContentFilter,
    /// The provider's own loop paused; the client is to send the conversation again (Anthropic's `pause_turn`).
    Pause,
    /// Something else that is not an end (Gemini's `MALFORMED_FUNCTION_CALL`), by the provider's own word.
    Other(Cow<'a, str>),
}

/// What a piece of text is based on.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation<'a> {
    /// A page's address; none: a document of the prompt.
    pub url: Option<Cow<'a, str>>,
    /// The page's or document's title.
    pub title: Option<Cow<'a, str>>,
    /// The words that are cited.
    pub cited_text: Option<Cow<'a, str>>,
    /// Which characters of the choice's text so far it stands for: first, and behind the last.
    pub range: Option<(u64, u64)>,
    /// The provider's own form of it (Anthropic's citation, OpenAI's annotation), by its dialect, for writers of the same
    /// dialect.
    pub native: Option<(crate::dialect::DialectId, Json<'a>)>,
}

/// One thing that happens in an answer. `choice` counts the answers to one prompt (OpenAI's `n`), from 0; `call` the tool
/// calls of one choice, from 0, in the order in which they begin.
///
/// A choice's parts are one after the other: what begins a part of another kind ends the one before. (Calls may be
/// interleaved: `call` tells which one a piece of arguments belongs to.)
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// The first event, once.
    Begin(Begin<'a>),
    /// Text.
    Text {
        /// Whose.
        choice: u32,
        /// A piece of it; pieces that follow each other are one part.
        text: Cow<'a, str>,
        /// The log probabilities of its tokens: an array as OpenAI's chat has it (`logprobs.content`).
        logprobs: Option<Json<'a>>,
    },
    /// The part that was just written is signed (Gemini signs texts).
    TextSigned {
        /// Whose.
        choice: u32,
        /// The signature.
        signature: Signature<'a>,
    },
    /// The model's words for declining.
    Refusal {
        /// Whose.
        choice: u32,
        /// A piece of them.
        text: Cow<'a, str>,
    },
    /// Thoughts.
    Reasoning {
        /// Whose.
        choice: u32,
        /// A piece of them.
        text: Cow<'a, str>,
        /// Themselves, or a summary.
        kind: ReasoningKind,
    },
    /// The thoughts so far are a part of their own: another one begins with the next piece.
    ReasoningEnd {
        /// Whose.
        choice: u32,
        /// The provider's signature or encrypted form of them; it may come without any text before.
        signature: Option<Signature<'a>>,
    },
    /// A call of a tool begins.
    ToolCall {
        /// Whose.
        choice: u32,
        /// Which.
        call: u32,
        /// Its id; readers of dialects without ids make one up.
        id: Cow<'a, str>,
        /// The tool's name.
        name: Cow<'a, str>,
        /// Gemini signs calls.
        signature: Option<Signature<'a>>,
    },
    /// A piece of a call's arguments.
    Arguments {
        /// Whose.
        choice: u32,
        /// Which call's.
        call: u32,
        /// The piece; together they are the JSON text.
        json: Cow<'a, str>,
    },
    /// What the text so far is based on.
    Annotation {
        /// Whose.
        choice: u32,
        /// It.
        annotation: Annotation<'a>,
    },
    /// An image or a sound that the model made.
    Media {
        /// Whose.
        choice: u32,
        /// `image/png`
        mime_type: Cow<'a, str>,
        /// Its bytes.
        base64: Cow<'a, str>,
    },
    /// A choice is complete.
    Finish {
        /// Which.
        choice: u32,
        /// Why.
        reason: FinishReason<'a>,
    },
    /// A sign of life of the provider's, while nothing else comes.
    Ping,
    /// The provider says, in the middle of its answer, that something is wrong; nothing follows.
    Error(super::Refusal<'a>),
    /// The answer is whole. Readers deliver it, with `None`, at their dialect's terminal event, if it has one; what writers
    /// get has what was used, as it is billed (`None`: the provider did not say).
    End(Option<Metered>),
}

/// Where readers deliver.
pub trait Sink {
    /// The next event.
    fn event(&mut self, event: Event<'_>);
}
