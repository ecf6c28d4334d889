//! What the crate `genai-prices` does not know, each with the page that says it.

/// Names that the crate matches by a pattern, so that they cannot be read off its data. Each goes to the row it matches.
pub(super) const FURTHER_NAMES: [(&str, &str); 4] = [
    ("openai", "omni-moderation-latest omni-moderation-2024-09-26 text-moderation-latest text-moderation-stable"),
    ("anthropic", "claude-3-5-sonnet-latest claude-3-haiku-20240307"),
    (
        "google",
        "gemini-1.5-flash-001 gemini-1.5-flash-002 gemini-1.5-flash-latest gemini-1.5-pro-001 gemini-1.5-pro-002 \
         gemini-1.5-pro-latest gemini-2.0-flash-001 gemini-2.0-flash-lite-001 gemini-2.5-flash-lite-preview-06-17 \
         gemini-2.5-flash-lite-preview-09-2025 gemini-2.5-pro-preview-03-25 gemini-2.5-pro-preview-05-06 \
         gemini-2.5-pro-preview-06-05",
    ),
    (
        "mistral",
        "magistral-medium-latest magistral-medium-2506 magistral-medium-2507 magistral-medium-2509 \
         magistral-small-latest magistral-small-2506 magistral-small-2507 magistral-small-2509",
    ),
];

/// Models whose dear hours are on working days only (api-docs.deepseek.com, "Models & Pricing"); the crate cannot say so.
pub(super) const WEEKDAY_WINDOWS: [&str; 3] = ["deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro"];

/// What the crate does not know of some models, as lines of their rows. A `*` stands for the rest of a name.
pub(super) const FURTHER_LINES: [(&str, &str, &str); 10] = [
    // What it costs that they have to run in a place (platform.claude.com, "Data residency").
    (
        "anthropic",
        "inference_geo = { us = 1.1 }",
        "claude-opus-4-6 claude-opus-4-7 claude-opus-4-8 claude-opus-5* claude-sonnet-4-6 claude-sonnet-5* claude-haiku-5* \
         claude-fable*",
    ),
    // docs.x.ai/developers/pricing, "Tool Invocation Costs".
    ("x-ai", "web_search_per_thousand = 5", XAI_WITH_TOOLS),
    // Fast mode, which answers say as `speed` (platform.claude.com, "Fast mode": 8 and 40 USD for Opus 5.5, 10 and 50 for Opus 5 and 4.8,
    // and the multipliers of caches on top).
    ("anthropic", "priority = 2", "claude-opus-4-8 claude-opus-5 claude-opus-5-5"),
    // docs.x.ai/developers/pricing, "Priority Processing Pricing": of all text models.
    ("x-ai", "priority = 2", "grok-3* grok-4* grok-build* grok-code*"),
    // 75 to 100 % above the standard price (ai.google.dev, "Gemini API optimization and inference"), namely 80 %: docs.llmgateway.io,
    // "Service Tiers"; BerriAI/litellm, model_prices_and_context_window.json; and the crate, of the models that speak.
    ("google", "priority = 1.8", GEMINI_WITH_TIERS),
    // Half the standard price (ai.google.dev/gemini-api/docs/flex-inference).
    ("google", "flex = 0.5", GEMINI_WITH_TIERS),
    // developers.openai.com, "Ultrafast mode"; vercel.com/changelog/openai-ultrafast-mode-now-available-on-ai-gateway: 6 x standard.
    ("openai", "ultrafast = 6", "gpt-6-astra"),
    // 0.03 CNY a search (platform.kimi.com/docs/pricing/tools); 0.005 USD elsewhere (platform.kimi.ai/docs/pricing/tools).
    ("moonshotai", "web_search_per_thousand = 5", "kimi* moonshot*"),
    // Of its agent, whichever model there is (docs.perplexity.ai/docs/getting-started/pricing, "Tools").
    (
        "perplexity",
        "web_search_per_thousand = 2.5",
        "perplexity/deepseek* perplexity/glm* perplexity/kimi* perplexity/nemotron*",
    ),
    // github.com/BerriAI/litellm/pull/34971, after groq.com/pricing, "Built-in tools".
    ("groq", "web_search_per_thousand = 5", GROQ_WITH_TOOLS),
];

/// Gemini's models with service tiers (docs.cloud.google.com, "Flex PayGo": not Gemini 4).
const GEMINI_WITH_TIERS: &str = "gemini-2.5-flash gemini-2.5-flash-lite gemini-2.5-pro gemini-3-flash-preview \
    gemini-3-pro-preview gemini-3.1-flash-lite gemini-3.1-pro-preview gemini-3.5-flash gemini-3.5-flash-lite gemini-3.6-flash \
    gemini-3.7-flash gemini-3.8-flash";

/// Groq's models that may use its own tools.
const GROQ_WITH_TOOLS: &str = "openai/gpt-oss-120b openai/gpt-oss-20b";

/// xAI's models that may use its own tools.
pub(super) const XAI_WITH_TOOLS: &str = "grok-4*";

/// What is billed by the time, in nano-USD, and of which models; the crate knows of OpenAI's file searches alone.
pub(super) const FEES: [(&str, &str, u64, &str); 17] = [
    // docs.perplexity.ai/getting-started/pricing, "Request Pricing"; the row's own price of a request is that of the largest size.
    ("perplexity", "search_context_low", 5_000_000, "sonar sonar-reasoning"),
    ("perplexity", "search_context_medium", 8_000_000, "sonar sonar-reasoning"),
    ("perplexity", "search_context_low", 6_000_000, "sonar-pro sonar-reasoning-pro"),
    ("perplexity", "search_context_medium", 10_000_000, "sonar-pro sonar-reasoning-pro"),
    // 0.004 USD a minute, beside tokens (mistralai/platform-docs-public, `voxtral-small-25-07.ts`).
    ("mistral", "audio_hour", 240_000_000, "voxtral-small*"),
    // docs.perplexity.ai/docs/getting-started/pricing, "Tools".
    ("perplexity", "fetch_url", 500_000, "perplexity/*"),
    ("perplexity", "image_search", 2_500_000, "perplexity/*"),
    ("perplexity", "people_search", 5_000_000, "perplexity/*"),
    ("perplexity", "finance_search", 5_000_000, "perplexity/*"),
    // As its search.
    ("groq", "visit_website", 1_000_000, GROQ_WITH_TOOLS),
    // developers.openai.com/api/docs/pricing, "Built-in tools": of models that do not reason.
    ("openai", "web_search_preview", 25_000_000, "gpt-4o gpt-4o-mini gpt-4.1*"),
    // platform.openai.com/docs/pricing, "Built-in tools": a container of the smallest size (no answer says its size).
    ("openai", "code_interpreter", 30_000_000, "gpt-4o gpt-4o-mini gpt-4.1* gpt-5* gpt-6* o3* o4*"),
    // docs.x.ai/developers/pricing, "Tool Invocation Costs".
    ("x-ai", "x_search", 5_000_000, XAI_WITH_TOOLS),
    ("x-ai", "code_interpreter", 5_000_000, XAI_WITH_TOOLS),
    ("x-ai", "file_search", 2_500_000, XAI_WITH_TOOLS),
    ("x-ai", "document_search", 10_000_000, XAI_WITH_TOOLS),
    // ai.google.dev/gemini-api/docs/maps-grounding, "Pricing": 25 USD a thousand grounded prompts.
    ("google", "google_maps", 25_000_000, "gemini-2.0-flash gemini-2.5-flash gemini-2.5-flash-lite gemini-2.5-pro"),
];

/// Where Bedrock's inference profiles run: in front of a model's name, which the crate has with one of them, with its own word for
/// any but the last, or with none.
pub(super) const PROFILES: [&str; 9] = ["us.", "eu.", "apac.", "jp.", "au.", "in.", "ca.", "us-gov.", "global."];
pub(super) const ANY_PROFILE: &str = "regional.";

/// The most tokens of one answer, from the vendors' model pages (October 2026). A `*` stands for the rest of a name.
pub(super) const OUTPUT_TOKENS_MAX: [(u64, &str); 12] = [
    (4_096, "gpt-3.5-turbo* gpt-4-turbo gpt-4o-2024-05-13 claude-3-haiku claude-3-opus* claude-3-sonnet"),
    (
        8_192,
        "gpt-4 claude-3-5-haiku* claude-3-5-sonnet gemini-1.5-flash gemini-1.5-pro gemini-2.0-flash* deepseek-chat",
    ),
    (16_384, "gpt-4o gpt-4o-mini gpt-4o-audio* gpt-4o-mini-audio* gpt-4o-search* chatgpt-4o* gpt-audio*"),
    (32_000, "claude-opus-4-0 claude-opus-4-1"),
    (32_768, "gpt-4.1* o1-preview"),
    (64_000, "claude-haiku-4-5 claude-opus-4-5 claude-sonnet-4-0 claude-sonnet-4-5 claude-sonnet-4-6"),
    (
        65_536,
        "o1-mini gemini-2.5-flash gemini-2.5-flash-lite gemini-2.5-pro gemini-3-flash-preview gemini-3-pro-preview \
         gemini-3.1-flash-lite gemini-3.1-pro-preview gemini-3.5-flash gemini-3.5-flash-lite gemini-3.6-flash \
         gemini-3.7-flash gemini-3.8-flash gemini-4-argon deepseek-reasoner",
    ),
    (100_000, "o1 o1-pro o3* o4* codex-mini"),
    (
        128_000,
        "gpt-5 gpt-5-mini gpt-5-nano gpt-5.1* gpt-5.2* gpt-5.3-codex gpt-5.4* gpt-5.5* gpt-5.6* gpt-6* \
         claude-3-7-sonnet* claude-opus-4-6 claude-opus-4-7 claude-opus-4-8 claude-opus-5* claude-sonnet-5* \
         claude-haiku-5* claude-fable*",
    ),
    (131_072, "gpt-oss*"),
    (272_000, "gpt-5-pro"),
    (384_000, "deepseek-flash deepseek-v4*"),
];

/// Who passes models on as their makers run them, so that one answer has as many tokens as there, and images and sounds cost the same
/// where text does. (Models that many hosts run have other limits at each.)
pub(super) struct PassedOn {
    pub(super) seller: &'static str,
    /// How the names begin of the maker's models.
    pub(super) begin: &'static str,
    pub(super) maker: &'static str,
    /// The maker's own search is passed on, too, at its price (openrouter.ai/docs/features/web-search); else others search.
    pub(super) searches: bool,
}

/// See [`PassedOn`].
pub(super) const PASSED_ON: [PassedOn; 4] = [
    PassedOn { seller: "openrouter", begin: "openai/", maker: "openai", searches: true },
    PassedOn { seller: "openrouter", begin: "anthropic/", maker: "anthropic", searches: true },
    PassedOn { seller: "openrouter", begin: "google/", maker: "google", searches: false },
    PassedOn { seller: "azure", begin: "", maker: "openai", searches: false },
];
/// Ways to run a model that change nothing of that.
pub(super) const SAME_OUTPUT: [&str; 3] = [":batch", ":free", ":thinking"];
