//! What stands where in a request: for each kind of object the members that mean something to the gateway. All else is
//! the provider's business; it passes as it is and counts as text.

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

/// A member that means something.
pub(super) struct Member {
    /// Its spellings (Google's JSON takes both camel and snake case).
    pub(super) keys: &'static [&'static str],
    /// What its value is.
    pub(super) place: Place,
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

const fn m(keys: &'static [&'static str], place: Place) -> Member {
    Member { keys, place }
}

use Place::*;

/// Of every root whose model stands in the body.
static COMMON: &[Member] = &[
    m(&["model"], Model),
    m(&["stream"], Stream),
    m(&["models"], OtherModels),
    // Anthropic's, and LiteLLM's where an upstream is one (docs.litellm.ai, "Client-Side Fallbacks").
    m(&["fallbacks"], OtherModels),
    // LiteLLM's further ones: its router reads them among a request's own arguments, too (BerriAI/litellm, litellm/router.py,
    // `async_function_with_fallbacks`), and so does each call (docs.litellm.ai, "Reliability - Retries, Fallbacks").
    m(&["context_window_fallbacks"], OtherModels),
    m(&["content_policy_fallbacks"], OtherModels),
    m(&["context_window_fallback_dict"], OtherModels),
    // OpenRouter's: `"fallback"` without `models` lets it choose others (npmjs.com/package/@openrouter/schemas).
    m(&["route"], OtherModels),
    // Stored settings, with a list of models among them (openrouter.ai/docs/features/presets; Perplexity's have tools, too:
    // docs.perplexity.ai/docs/agent-api/presets).
    m(&["preset"], OtherModels),
    // LiteLLM's stored prompts, which may bring a model (docs.litellm.ai/docs/proxy/prompt_management).
    m(&["prompt_id"], OtherModels),
    m(&["providerOptions"], ProviderOptions),
    m(&["extra_body"], ExtraBody),
    m(&["service_tier"], ServiceTier),
    m(&["plugins"], Plugin),
    // xAI's: the answer is a number, and what it stands for is fetched later (docs.x.ai, "Deferred Chat Completions").
    m(&["deferred"], Background),
];

/// Vercel bills "based on the model that completes successfully"
/// (vercel.com/changelog/model-fallbacks-now-available-in-vercel-ai-gateway).
static PROVIDER_OPTIONS: &[Member] = &[m(&["gateway"], GatewayOptions)];
static GATEWAY_OPTIONS: &[Member] = &[m(&["models"], OtherModels)];

/// Groq's: of which models and tools its systems are made (console.groq.com/docs/api-reference, "Create chat completion").
static COMPOUND_OPTIONS: &[Member] = &[m(&["models"], OtherModels), m(&["tools"], Elsewhere)];

/// What stands here goes into the body that a gateway like LiteLLM sends on (BerriAI/litellm, issue 18039), where it may take the place
/// of what stands beside it. All else of a chat counts here as it does there.
static EXTRA_BODY: &[Member] = &[
    m(&["model"], OtherModels),
    // Not to be spliced: what the client gets is what it asked for in the body itself.
    m(&["stream"], Text),
    m(&["stream_options"], Text),
    m(&["google"], GoogleOptions),
];

/// ai.google.dev/gemini-api/docs/openai, "extra_body".
static GOOGLE_OPTIONS: &[Member] = &[m(&["cached_content", "cachedContent"], Elsewhere)];

static CHAT: &[Member] = &[
    m(&["messages"], Part),
    m(&["tools"], Tool),
    m(&["functions"], Functions),
    m(&["compound_custom"], CompoundOptions),
    m(&["stream_options"], StreamOptions),
    m(&["max_tokens"], AnswerMax),
    m(&["max_completion_tokens"], OutputMax),
    m(&["n_predict"], Predicted),
    m(&["n"], Choices),
    m(&["n_cmpl"], Choices),
    m(&["best_of"], Choices),
    m(&["enable_thinking"], ThinkingSwitch),
    m(&["thinking_budget"], ThinkingBudget),
    m(&["thinking"], Thinking),
    m(&["reasoning_effort"], ThinkingEffort),
    m(&["reasoning"], ThinkingWords),
    m(&["chat_template_kwargs"], ThinkingWords),
    m(&["web_search_options"], Elsewhere),
    m(&["search_parameters"], Elsewhere),
    m(&["enable_search"], Elsewhere),
    // Alibaba's: what the code prints is read (alibabacloud.com/help/en/model-studio/qwen-code-interpreter).
    m(&["enable_code_interpreter"], Elsewhere),
    // Baidu's search (cloud.baidu.com/doc/qianfan-docs/s/Wm8r4sw29).
    m(&["web_search"], Elsewhere),
    // Tencent's (cloud.tencent.com/document/product/1729/111007; the second is among its native parameters, 1729/105701).
    m(&["enable_enhancement"], Elsewhere),
    m(&["force_search_enhancement"], Elsewhere),
    // Baichuan's search and stored knowledge (f8cxtsvnr8.apifox.cn/api-135485574).
    m(&["with_search_enhance"], Elsewhere),
    m(&["knowledge_base"], Elsewhere),
    // Azure's "On Your Data", until 2024 in camel case (learn.microsoft.com/azure/ai-services/openai/references/on-your-data).
    m(&["data_sources", "dataSources"], Elsewhere),
];

static COMPLETION: &[Member] = &[
    m(&["prompt"], Prompts),
    // vLLM's (vllm/entrypoints/openai/completion/protocol.py).
    m(&["prompt_embeds"], Embedded),
    m(&["stream_options"], StreamOptions),
    m(&["max_tokens"], OutputMax),
    m(&["max_completion_tokens"], OutputMax),
    m(&["n_predict"], Predicted),
    m(&["n"], Choices),
    m(&["n_cmpl"], Choices),
    m(&["best_of"], Choices),
];

static RESPONSES: &[Member] = &[
    m(&["input"], Part),
    m(&["tools"], Tool),
    m(&["max_output_tokens"], OutputMax),
    m(&["reasoning"], ThinkingWords),
    m(&["background"], Background),
    m(&["previous_response_id"], Elsewhere),
    m(&["conversation"], Elsewhere),
    m(&["prompt"], Elsewhere),
];

static IMAGE: &[Member] = &[
    m(&["n"], Choices),
    m(&["image"], ImageUrl),
    m(&["images"], Part),
    m(&["mask"], Part),
    m(&["quality"], ImageQuality),
    m(&["size"], ImageSize),
    m(&["batch_size"], Images),
    m(&["num_images"], Images),
    m(&["max_images"], Images),
    m(&["sequential_image_generation"], ImageSeries),
    m(&["sequential_image_generation_options"], ImageSeriesOptions),
];

static IMAGE_SERIES_OPTIONS: &[Member] = &[m(&["max_images"], Images)];

static SPEECH: &[Member] = &[m(&["input"], Spoken), m(&["stream_format"], StreamFormat)];

static INPUT: &[Member] = &[m(&["input"], Inputs), m(&["stream_format"], StreamFormat)];

/// llama.cpp's server takes `texts`, too (tools/server/README.md, "POST /reranking").
static RERANK: &[Member] = &[m(&["documents"], Documents), m(&["texts"], Documents), m(&["query"], Part)];

/// vLLM's form of documents with media (docs.vllm.ai, "Score API"): `{"content": [...]}`.
static DOCUMENTS: &[Member] = &[m(&["content"], Documents)];

static MESSAGES: &[Member] = &[
    m(&["messages"], Block),
    m(&["system"], Block),
    m(&["tools"], ClaudeTool),
    m(&["max_tokens"], OutputMax),
    m(&["thinking"], ThinkingBudgeted),
    m(&["output_config"], ThinkingWords),
    m(&["speed"], Speed),
    m(&["mcp_servers"], Elsewhere),
    m(&["container"], Elsewhere),
];

static GEMINI: &[Member] = &[
    m(&["model"], InnerModel),
    m(&["contents"], Content),
    m(&["content"], Content),
    m(&["systemInstruction", "system_instruction"], Content),
    m(&["tools"], GeminiTool),
    m(&["generationConfig", "generation_config"], GeminiConfig),
    m(&["cachedContent", "cached_content"], Elsewhere),
    m(&["serviceTier", "service_tier"], ServiceTier),
    m(&["generateContentRequest", "generate_content_request"], GeminiRoot),
    m(&["requests"], Requests),
];

static GEMINI_CONFIG: &[Member] = &[
    m(&["maxOutputTokens", "max_output_tokens"], OutputMax),
    m(&["candidateCount", "candidate_count"], Choices),
    m(&["thinkingConfig", "thinking_config"], ThinkingConfig),
];

/// OpenAI's and OpenRouter's names, and what chat templates have.
static THINKING_WORDS: &[Member] = &[
    m(&["effort"], ThinkingEffort),
    m(&["type"], ThinkingEffort),
    m(&["enabled"], ThinkingEffort),
    m(&["enable_thinking"], ThinkingEffort),
    m(&["thinking"], ThinkingEffort),
    m(&["thinking_budget"], ThinkingEffort),
    m(&["budget_tokens"], ThinkingEffort),
    m(&["max_tokens"], ThinkingEffort),
];
static THINKING: &[Member] = &[m(&["type"], ThinkingType)];
static THINKING_BUDGETED: &[Member] = &[m(&["type"], ThinkingType), m(&["budget_tokens"], ThinkingBudget)];
static THINKING_CONFIG: &[Member] = &[
    m(&["thinkingBudget", "thinking_budget"], ThinkingBudget),
    m(&["thinkingLevel", "thinking_level"], ThinkingEffort),
];

static PART: &[Member] = &[
    m(&["type"], Kind),
    m(&["role"], Role),
    m(&["id"], Id),
    m(&["content"], Part),
    m(&["output"], Part),
    m(&["image_url"], ImageUrl),
    m(&["image"], ImageUrl),
    m(&["input_audio"], Audio),
    m(&["audio"], Elsewhere),
    m(&["file"], File),
    m(&["file_data"], FileBytes),
    m(&["file_id"], Elsewhere),
    m(&["file_url"], OtherUrl),
    m(&["video_url"], OtherUrl),
    // Alibaba's: a video's frames (alibabacloud.com/help/en/model-studio/vision).
    m(&["video"], OtherUrl),
    // vLLM's name of a medium that it had before, which then need not be there (docs.vllm.ai, "Multimodal Inputs").
    m(&["uuid"], Elsewhere),
    m(&["audio_url"], OtherUrl),
    m(&["document_url"], OtherUrl),
    m(&["result"], Payload),
];

static IMAGE_URL: &[Member] = &[m(&["url"], ImageUrl), m(&["image_url"], ImageUrl), m(&["file_id"], Elsewhere)];
static OTHER_URL: &[Member] = &[m(&["url"], OtherUrl)];
static AUDIO: &[Member] = &[m(&["data"], AudioBytes), m(&["url"], OtherUrl)];
static FILE: &[Member] =
    &[m(&["file_data"], FileBytes), m(&["file_id"], Elsewhere), m(&["file_url"], OtherUrl), m(&["url"], OtherUrl)];

static BLOCK: &[Member] = &[m(&["content"], Block), m(&["source"], Source), m(&["file_id"], Elsewhere)];

static SOURCE: &[Member] = &[
    m(&["type"], Kind),
    m(&["media_type"], Mime),
    m(&["data"], Payload),
    m(&["url"], Elsewhere),
    m(&["file_id"], Elsewhere),
    m(&["content"], Block),
];

static CONTENT: &[Member] = &[m(&["parts"], GeminiPart)];

static GEMINI_PART: &[Member] = &[
    m(&["inlineData", "inline_data"], Inline),
    m(&["fileData", "file_data"], Elsewhere),
    m(&["functionResponse", "function_response"], FunctionResponse),
];

static INLINE: &[Member] = &[m(&["mimeType", "mime_type"], Mime), m(&["data"], Payload)];
static FUNCTION_RESPONSE: &[Member] = &[m(&["parts"], GeminiPart)];
static TOOL: &[Member] = &[m(&["type"], ToolKind)];
static CLAUDE_TOOL: &[Member] = &[m(&["type"], ClaudeToolKind)];
static GEMINI_TOOL: &[Member] = &[m(&["functionDeclarations", "function_declarations"], Functions)];
static PLUGIN: &[Member] = &[m(&["id"], PluginId)];
static STREAM_OPTIONS: &[Member] = &[m(&["include_usage"], IncludeUsage)];

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

    /// The members of an object here that mean something: its own, and those that all roots share.
    fn members(self) -> (&'static [Member], &'static [Member]) {
        match self {
            ChatRoot | ExtraBody => (CHAT, COMMON),
            CompletionRoot => (COMPLETION, COMMON),
            ResponsesRoot => (RESPONSES, COMMON),
            ImageRoot => (IMAGE, COMMON),
            ImageSeriesOptions => (IMAGE_SERIES_OPTIONS, &[]),
            SpeechRoot => (SPEECH, COMMON),
            InputRoot => (INPUT, COMMON),
            RerankRoot => (RERANK, COMMON),
            Documents => (DOCUMENTS, PART),
            MessagesRoot => (MESSAGES, COMMON),
            GeminiRoot | Requests => (GEMINI, &[]),
            GeminiConfig => (GEMINI_CONFIG, &[]),
            ProviderOptions => (PROVIDER_OPTIONS, &[]),
            GatewayOptions => (GATEWAY_OPTIONS, &[]),
            CompoundOptions => (COMPOUND_OPTIONS, &[]),
            GoogleOptions => (GOOGLE_OPTIONS, &[]),
            ThinkingWords => (THINKING_WORDS, &[]),
            Thinking => (THINKING, &[]),
            ThinkingBudgeted => (THINKING_BUDGETED, &[]),
            ThinkingConfig => (THINKING_CONFIG, &[]),
            StreamOptions => (STREAM_OPTIONS, &[]),
            Part | Inputs => (PART, &[]),
            ImageUrl => (IMAGE_URL, &[]),
            OtherUrl => (OTHER_URL, &[]),
            Audio => (AUDIO, &[]),
            File => (FILE, &[]),
            Block => (BLOCK, &[]),
            Source => (SOURCE, &[]),
            Content => (CONTENT, &[]),
            GeminiPart => (GEMINI_PART, &[]),
            Inline => (INLINE, &[]),
            FunctionResponse => (FUNCTION_RESPONSE, &[]),
            Tool => (TOOL, &[]),
            ClaudeTool => (CLAUDE_TOOL, &[]),
            GeminiTool => (GEMINI_TOOL, &[]),
            Plugin => (PLUGIN, &[]),
            _ => (&[], &[]),
        }
    }

    /// Members that go before those of the same name.
    fn first_members(self) -> &'static [Member] {
        if self == ExtraBody { EXTRA_BODY } else { &[] }
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
