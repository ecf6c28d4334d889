//! What stands where in a request: what a value is by the object it is in and by its name there. What has no place of its own is the
//! provider's business; it passes as it is and counts as text.

mod members;

use self::members::Member;
use super::super::shape::{Answer, DialectId};

/// What a value is, by where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Text to the model, or nothing to it: counts by its bytes, with everything in it.
    Text,

    // The request itself.
    ChatRoot,
    CompletionRoot,
    ResponsesRoot,
    ImageRoot,
    SpeechRoot,
    InputRoot,
    RerankRoot,
    MessagesRoot,
    /// Also what stands in `generateContentRequest` and in each of `requests`.
    GeminiRoot,

    // Settings.
    Model,
    /// A further `model` in a Gemini body, beside the one in the path.
    InnerModel,
    Stream,
    StreamFormat,
    StreamOptions,
    IncludeUsage,
    OutputMax,
    /// The same of the answer alone, at some vendors.
    AnswerMax,
    /// llama.cpp's own name of it, which overrules the others there (ggml-org/llama.cpp, tools/server/server-schema.cpp: `n_predict` with
    /// the aliases `max_completion_tokens` and `max_tokens`, `n_cmpl` with the alias `n`). Negative: there is no limit.
    Predicted,
    Choices,
    /// Legacy completions: each prompt has its own completions.
    Prompts,
    PromptItem,
    /// Prompts as vectors, which tell nothing of how many tokens they are.
    Embedded,
    EmbeddedItem,
    /// Prompts of embeddings and the like: each has a context window of its own.
    Inputs,
    /// Google's prompts, of which each is a request.
    Requests,
    /// What a reranker reads one by one, each with all else that there is.
    Documents,
    ServiceTier,
    Speed,
    /// What images are to be like.
    ImageQuality,
    ImageSize,
    /// How many images are made for each of `n`, by vendors' own names.
    Images,
    /// Whether it is the model that decides how many.
    ImageSeries,
    ImageSeriesOptions,
    Background,
    OtherModels,
    GeminiConfig,
    /// What is a vendor's own, by the vendor.
    ProviderOptions,
    /// Vercel's, among them.
    GatewayOptions,
    /// What of a system's parts is other than it comes.
    CompoundOptions,
    /// Members for the body of the next request, by gateways that make one, and settings beside OpenAI's.
    ExtraBody,
    /// Google's, among them.
    GoogleOptions,

    // Thinking.
    ThinkingSwitch,
    ThinkingBudget,
    /// How hard to think, in a word or otherwise.
    ThinkingEffort,
    /// An object with such words.
    ThinkingWords,
    /// An object whose `type` says whether to think.
    Thinking,
    /// The same where it may have a budget, too.
    ThinkingBudgeted,
    ThinkingType,
    /// Google's.
    ThinkingConfig,

    // Content.
    /// Text to be spoken.
    Spoken,
    /// OpenAI's messages, input items, content parts.
    Part,
    /// Anthropic's messages and content blocks.
    Block,
    Source,
    /// Gemini's contents.
    Content,
    GeminiPart,
    Inline,
    FunctionResponse,
    ImageUrl,
    OtherUrl,
    Audio,
    AudioBytes,
    File,
    FileBytes,
    /// The `type` of the object around it.
    Kind,
    /// Who says the object around it.
    Role,
    /// The `id` of the object around it.
    Id,
    /// The MIME type of the object around it.
    Mime,
    /// Base64, if the object around it turns out to say so.
    Payload,
    /// Whatever stands here makes the model read something that is not in the body.
    Elsewhere,
    /// The same, unless it says that it is off.
    Search,
    SearchSwitch,
    /// Anthropic's.
    Citations,
    CitationsSwitch,

    // Tools.
    /// Functions by themselves, of no type.
    Functions,
    Tool,
    ToolKind,
    ClaudeTool,
    ClaudeToolKind,
    GeminiTool,
    /// As [`Elsewhere`](Self::Elsewhere), but one may be no help.
    Plugin,
    PluginId,
}

/// What a key is in its place.
pub(super) enum Named {
    /// This member, and its number.
    Member(u32, &'static Member),
    /// The name of a member that is acted on, in another case.
    Nearly(&'static str),
    /// Nothing.
    Stranger,
}

use Place::*;

impl Place {
    /// What the body of an endpoint is.
    pub(super) fn root(answer: Answer, dialect: DialectId) -> Self {
        match (dialect, answer) {
            (DialectId::OpenAi, Answer::Chat) => ChatRoot,
            (DialectId::OpenAi, Answer::Completion) => CompletionRoot,
            (DialectId::OpenAi, Answer::Image) => ImageRoot,
            (DialectId::OpenAi, Answer::Speech) => SpeechRoot,
            (DialectId::OpenAi, Answer::Rerank) => RerankRoot,
            (DialectId::OpenAiResponses, _) => ResponsesRoot,
            (DialectId::Anthropic, _) => MessagesRoot,
            (DialectId::Gemini, _) => GeminiRoot,
            (_, _) => InputRoot,
        }
    }

    /// Whether it is a request (also one inside another).
    fn is_root(self) -> bool {
        matches!(
            self,
            ChatRoot
                | CompletionRoot
                | ResponsesRoot
                | ImageRoot
                | SpeechRoot
                | InputRoot
                | RerankRoot
                | MessagesRoot
                | GeminiRoot
                | Requests
        )
    }

    /// The member of that name, and its number among this place's members (below 64).
    pub(super) fn member(self, key: &str) -> Named {
        let (own, common) = self.members();
        let is_ascii = key.is_ascii();
        let mut number = 0;
        for members in [self.first_members(), own, common] {
            for member in members {
                for name in member.keys {
                    // Nearly every key ends here.
                    if name.len() != key.len() && is_ascii {
                        continue;
                    }
                    if *name == key {
                        return Named::Member(number, member);
                    }
                    if self.acts() && folds_to(key, name) {
                        return Named::Nearly(name);
                    }
                }
                number += 1;
            }
        }
        Named::Stranger
    }

    /// Whether its members are acted on, so that another spelling of one is no matter of taste: some servers take a key in
    /// another case for it, and one request would mean two things.
    fn acts(self) -> bool {
        self.is_root()
            || matches!(self, GeminiConfig | StreamOptions | ImageSeriesOptions | ExtraBody)
            || matches!(self, ProviderOptions | GatewayOptions | CompoundOptions)
    }

    /// Whether it says something of thinking.
    pub(super) fn is_of_thinking(self) -> bool {
        matches!(
            self,
            ThinkingSwitch
                | ThinkingBudget
                | ThinkingEffort
                | ThinkingWords
                | Thinking
                | ThinkingBudgeted
                | ThinkingType
                | ThinkingConfig
        )
    }

    /// What a member is that means nothing. In Gemini's tools every other one is a tool that Google runs.
    pub(super) fn stranger(self) -> Self {
        if self == GeminiTool { Elsewhere } else { Text }
    }

    /// What the elements of an array here are.
    pub(super) fn element(self) -> Self {
        match self {
            Prompts => PromptItem,
            PromptItem => Text,
            Embedded => EmbeddedItem,
            EmbeddedItem => Text,
            Inputs | Documents => Part,
            Requests => GeminiRoot,
            // A list is no word.
            ImageQuality | ImageSize => Text,
            same => same,
        }
    }

    /// Whether the elements of an array here are prompts.
    pub(super) fn holds_prompts(self) -> bool {
        matches!(self, Inputs | Requests | Documents)
    }

    /// How an error names the object around a member.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            GeminiConfig => "generationConfig.",
            StreamOptions => "stream_options.",
            ImageSeriesOptions => "sequential_image_generation_options.",
            GatewayOptions => "providerOptions.gateway.",
            CompoundOptions => "compound_custom.",
            ExtraBody => "extra_body.",
            _ => "",
        }
    }
}

/// Whether a key is a name in another case, also by Unicode's rules (the long s and the Kelvin sign fold to ASCII letters, and
/// Go's JSON decoder does so).
fn folds_to(key: &str, name: &str) -> bool {
    if key.is_ascii() {
        return key.eq_ignore_ascii_case(name);
    }
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(name.chars().map(|c| c.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::{Named, Place, folds_to};

    #[test]
    fn another_case_is_told_from_another_name() {
        assert!(folds_to("Model", "model"));
        assert!(folds_to("max_to\u{212a}en\u{17f}", "max_tokens"));
        assert!(!folds_to("models", "model"));
        assert!(!folds_to("", "model"));
    }

    #[test]
    fn members_fit_the_set_of_seen_ones() {
        let extra = Place::ExtraBody.members();
        assert!(Place::ExtraBody.first_members().len() + extra.0.len() + extra.1.len() <= 64);
        let roots =
            [Place::ChatRoot, Place::CompletionRoot, Place::ResponsesRoot, Place::ImageRoot, Place::MessagesRoot];
        for root in roots {
            let (own, common) = root.members();
            assert!(own.len() + common.len() <= 64);
            assert!(
                matches!(root.member("model"), Named::Member(number, member) if number < 64 && member.place == Place::Model)
            );
            assert!(matches!(root.member("Model"), Named::Nearly("model")));
            assert!(matches!(root.member("modell"), Named::Stranger));
        }
    }
}
