//! The members of each kind of object in a request that mean something to the gateway, and where that is documented.

use super::Place;
use super::Place::*;

/// A member that means something.
pub(in crate::dialect::request) struct Member {
    /// Its spellings (Google's JSON takes both camel and snake case).
    pub(in crate::dialect::request) keys: &'static [&'static str],
    /// What its value is.
    pub(in crate::dialect::request) place: Place,
}

const fn m(keys: &'static [&'static str], place: Place) -> Member {
    Member { keys, place }
}

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
    m(&["web_search"], Search),
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

static BLOCK: &[Member] =
    &[m(&["content"], Block), m(&["source"], Source), m(&["file_id"], Elsewhere), m(&["citations"], Citations)];
static CITATIONS: &[Member] = &[m(&["enabled"], CitationsSwitch)];

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
/// A `namespace` has tools of its own (Responses).
static TOOL: &[Member] = &[m(&["type"], ToolKind), m(&["tools"], Tool)];
static CLAUDE_TOOL: &[Member] = &[m(&["type"], ClaudeToolKind)];
static GEMINI_TOOL: &[Member] = &[m(&["functionDeclarations", "function_declarations"], Functions)];
static PLUGIN: &[Member] = &[m(&["id"], PluginId)];
static SEARCH: &[Member] = &[m(&["enable"], SearchSwitch)];
static STREAM_OPTIONS: &[Member] = &[m(&["include_usage"], IncludeUsage)];

impl Place {
    /// The members of an object here that mean something: its own, and those that all roots share.
    pub(super) fn members(self) -> (&'static [Member], &'static [Member]) {
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
            Search => (SEARCH, &[]),
            Citations => (CITATIONS, &[]),
            _ => (&[], &[]),
        }
    }

    /// Members that go before those of the same name.
    pub(super) fn first_members(self) -> &'static [Member] {
        if self == ExtraBody { EXTRA_BODY } else { &[] }
    }
}
