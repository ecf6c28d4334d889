//! What a chat request asks for, in no dialect's words.

use super::fields::Field;
use super::json::Json;
use super::signature::Signature;
use std::borrow::Cow;

/// A chat request. Texts are borrowed from the body it was read from wherever they stand there unescaped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest<'a> {
    /// The answer is to come in events.
    pub stream: bool,
    /// The conversation, oldest first, instructions included.
    pub messages: Vec<Message<'a>>,
    /// What the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Searches that the provider itself would run for the model, by the client's paths: no other provider has them.
    pub searches: Vec<String>,
    /// Everything else.
    pub options: Options<'a>,
    /// Hints of the client's that the canonical form has no place for, by the client's names: they are left out for every
    /// target, and the answer says so.
    pub left_out: Vec<Cow<'static, str>>,
}

impl<'a> ChatRequest<'a> {
    /// Whether something of the conversation is no text: an image, a document that is not plain text, a sound, a film.
    pub fn has_media(&self) -> bool {
        self.media().any(|media| !matches!(media.source, Source::Text(_)))
    }

    /// Every medium, in results of tools, too.
    pub(super) fn media(&self) -> impl Iterator<Item = &Media<'a>> {
        let parts = self.messages.iter().flat_map(|message| &message.parts);
        let each = parts.flat_map(|part| match part {
            Part::ToolResult(result) => result.parts.as_slice(),
            part => std::slice::from_ref(part),
        });
        each.filter_map(|part| match part {
            Part::Media(media) => Some(media),
            _ => None,
        })
    }
}

/// Whose words a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// Instructions, where a dialect tells them from the system's; elsewhere the same.
    Developer,
    /// The user, and results of tools.
    User,
    /// The model, in earlier turns.
    Assistant,
}

/// One turn, or a part of one: neighbours of one role may be put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Message<'a> {
    /// Whose words.
    pub role: Role,
    /// A participant's name (OpenAI's `name`).
    pub name: Option<Cow<'a, str>>,
    /// What it consists of, in order.
    pub parts: Vec<Part<'a>>,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part<'a> {
    /// Text.
    Text {
        /// The text.
        text: Cow<'a, str>,
        /// Gemini signs texts too.
        signature: Option<Signature<'a>>,
    },
    /// The model's words for declining.
    Refusal(Cow<'a, str>),
    /// An image, a document, a sound, a film.
    Media(Media<'a>),
    /// The model's thoughts, in an earlier turn.
    Reasoning {
        /// The thoughts, or their summary; empty where the provider keeps them to itself.
        text: Cow<'a, str>,
        /// Whether it is a summary.
        kind: super::ReasoningKind,
        /// The provider's own proof or encrypted form of them, which it wants back.
        signature: Option<Signature<'a>>,
    },
    /// The model's call of a tool, in an earlier turn.
    ToolCall(ToolCall<'a>),
    /// What came of such a call; in messages of [`Role::User`].
    ToolResult(ToolResult<'a>),
    /// Not a part: the prompt up to here may be cached (Anthropic's `cache_control`, as it is written there). It concerns
    /// the part before it; as the first one, the message before.
    CacheMark(Json<'a>),
}

impl<'a> Part<'a> {
    /// Unsigned text.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text { text: text.into(), signature: None }
    }
}

/// What kind of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A PDF, a text.
    Document,
    /// A sound.
    Audio,
    /// A film.
    Video,
}

/// An image, a document, a sound or a film.
#[derive(Clone, Debug, PartialEq)]
pub struct Media<'a> {
    /// What kind.
    pub kind: MediaKind,
    /// Where its bytes are.
    pub source: Source<'a>,
    /// `image/png`; where it is known.
    pub mime_type: Option<Cow<'a, str>>,
    /// A document's file name or title.
    pub name: Option<Cow<'a, str>>,
    /// OpenAI's `detail` of an image: `low`, `high`, `auto` …
    pub detail: Option<Cow<'a, str>>,
}

/// Where the bytes of a medium are.
#[derive(Clone, Debug, PartialEq)]
pub enum Source<'a> {
    /// Here, in base64.
    Base64(Cow<'a, str>),
    /// Here, as plain text (Anthropic's text documents).
    Text(Cow<'a, str>),
    /// Behind a URL that the provider fetches.
    Url(Cow<'a, str>),
    /// In the files that the provider keeps for the account, under this id: no other provider knows it.
    File(Cow<'a, str>),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall<'a> {
    /// What its result refers to. Gemini may leave it out: its reader then makes one up from name and place.
    pub id: Cow<'a, str>,
    /// The tool's name.
    pub name: Cow<'a, str>,
    /// The arguments as the model wrote them: a JSON object, as a rule. (OpenAI carries any text; what is no object is
    /// refused by writers that need one.)
    pub arguments: Cow<'a, str>,
    /// Gemini signs calls, and wants the signature back.
    pub signature: Option<Signature<'a>>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult<'a> {
    /// The call's id.
    pub id: Cow<'a, str>,
    /// The tool's name, where the dialect says it; writers that need it look for the call in earlier messages.
    pub name: Option<Cow<'a, str>>,
    /// Text and media. Gemini's JSON objects are text here; its writer takes text that is a JSON object as one.
    pub parts: Vec<Part<'a>>,
    /// The tool failed.
    pub is_error: bool,
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// What it does.
    pub description: Option<Cow<'a, str>>,
    /// JSON Schema of its arguments (draft 2020-12 as all but Gemini's older `parameters` have it; its reader converts).
    /// `None`: it takes none.
    pub parameters: Option<Json<'a>>,
    /// The provider guarantees that arguments fit the schema.
    pub strict: Option<bool>,
    /// As [`Part::CacheMark`], behind this tool.
    pub cache_mark: Option<Json<'a>>,
}

/// Which tool the model must call.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice<'a> {
    /// As it likes.
    Auto,
    /// None.
    None,
    /// Any, at least one.
    Required,
    /// One of these; most dialects take one name only.
    Named(Vec<Cow<'a, str>>),
}

/// What shape the answer's text must have.
#[derive(Clone, Debug, PartialEq)]
pub enum Format<'a> {
    /// Any JSON object.
    JsonObject,
    /// JSON by a schema.
    Schema {
        /// OpenAI wants a name; writers that need one use `answer` where there is none.
        name: Option<Cow<'a, str>>,
        /// What it is for.
        description: Option<Cow<'a, str>>,
        /// The JSON Schema.
        schema: Json<'a>,
        /// The provider guarantees the fit. Anthropic and Gemini always do.
        strict: Option<bool>,
    },
}

impl Format<'_> {
    /// What it is called by.
    pub fn field(&self) -> Field {
        match self {
            Self::JsonObject => Field::JsonObject,
            Self::Schema { .. } => Field::JsonSchema,
        }
    }
}

/// How hard the model is to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// Least.
    Minimal,
    /// Little.
    Low,
    /// The usual.
    Medium,
    /// Much.
    High,
    /// More.
    ExtraHigh,
    /// Most.
    Max,
}

/// How the model is to think, and what of it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// How hard; `None`: not said.
    pub effort: Option<Effort>,
    /// At most so many tokens of it. 0 is [`Effort::None`]'s; a writer whose dialect takes only one of effort and budget
    /// converts ([`Effort::from_budget`], [`Effort::budget_tokens`]).
    pub budget_tokens: Option<u64>,
    /// Thoughts or their summaries are wanted in the answer; `None`: not said.
    pub visible: Option<bool>,
}

impl Reasoning {
    /// How hard, said as an effort or as a budget.
    pub fn wanted(&self) -> Option<Effort> {
        self.effort.or_else(|| self.budget_tokens.map(Effort::from_budget))
    }
}

impl Effort {
    /// Budgets that stand for efforts where a dialect knows tokens alone, ascending: of OpenRouter's and Google's tables of
    /// the same kind, rounded.
    const BUDGETS: [(Self, u64); 7] = [
        (Self::None, 0),
        (Self::Minimal, 512),
        (Self::Low, 1_024),
        (Self::Medium, 8_192),
        (Self::High, 24_576),
        (Self::ExtraHigh, 32_768),
        (Self::Max, 65_536),
    ];

    /// The effort that a budget comes nearest to from above, up to what every model takes that thinks: more than that must be
    /// asked for by its word. (Claude Code gives 31999 tokens to whatever model.)
    pub fn from_budget(tokens: u64) -> Self {
        let fits = Self::BUDGETS.iter().find(|(_, budget)| tokens <= *budget);
        fits.map_or(Self::High, |(effort, _)| *effort).min(Self::High)
    }

    /// The budget that stands for it.
    pub fn budget_tokens(self) -> u64 {
        Self::BUDGETS.iter().find(|(effort, _)| *effort == self).map_or(0, |(_, budget)| *budget)
    }

    /// The word for it, OpenAI's and Anthropic's.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::ExtraHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::BUDGETS.iter().map(|(effort, _)| *effort).find(|effort| effort.as_str() == word)
    }
}

/// What a request says beside conversation and tools.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options<'a> {
    /// Values that mean the same in every dialect that has them, as they are written: [`fields`](super::fields) knows
    /// their names. Neutral values (`n: 1`) are not kept.
    pub plain: Vec<(Field, Json<'a>)>,
    /// The answer ends before one of these.
    pub stop: Vec<Cow<'a, str>>,
    /// Which tool must be called.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Several calls in one turn are welcome; the default everywhere.
    pub parallel_tool_calls: Option<bool>,
    /// The answer's shape.
    pub format: Option<Format<'a>>,
    /// Thinking.
    pub reasoning: Option<Reasoning>,
    /// Log probabilities are wanted, with so many alternatives each.
    pub logprobs: Option<u64>,
    /// The client wants the usage of a stream (OpenAI's `stream_options.include_usage`; always in other dialects).
    pub include_usage: bool,
}

impl<'a> Options<'a> {
    /// The plain value of a field.
    pub fn plain(&self, field: Field) -> Option<&Json<'a>> {
        self.plain.iter().find(|(own, _)| *own == field).map(|(_, value)| value)
    }

    /// The fields that are set, plain or not.
    pub fn set(&self) -> impl Iterator<Item = Field> {
        let typed = [
            (!self.stop.is_empty(), Field::Stop),
            (self.tool_choice.is_some(), Field::ToolChoice),
            (self.parallel_tool_calls == Some(false), Field::ParallelToolCalls),
            (matches!(self.format, Some(Format::JsonObject)), Field::JsonObject),
            (matches!(self.format, Some(Format::Schema { .. })), Field::JsonSchema),
            (self.reasoning.is_some(), Field::Reasoning),
            (self.logprobs.is_some(), Field::Logprobs),
        ];
        let plain = self.plain.iter().map(|(field, _)| *field);
        typed.into_iter().filter(|(is_set, _)| *is_set).map(|(_, field)| field).chain(plain)
    }
}
