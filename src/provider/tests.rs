use super::row::{AuthScheme, StreamUsage, UnusableSecret};
use super::{from_environment, parse, providers};
use crate::dialect::DialectId;
use crate::dialect::endpoint::target;
use crate::dialect::request::read_request;
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use std::collections::HashSet;

const EXPECTED: [&str; 54] = [
    "ai21",
    "anthropic",
    "avian",
    "azure-openai",
    "baichuan",
    "bedrock",
    "cerebras",
    "cloudflare",
    "cohere",
    "cohere-native",
    "crusoe",
    "dashscope",
    "databricks",
    "deepinfra",
    "deepseek",
    "fireworks",
    "gemini",
    "gemini-openai",
    "groq",
    "huggingface",
    "jina",
    "llamacpp",
    "lmstudio",
    "minimax",
    "mistral",
    "moonshot",
    "nebius",
    "novita",
    "nvidia",
    "ollama",
    "ollama-native",
    "openai",
    "openai-compatible",
    "openai-responses",
    "openrouter",
    "perplexity",
    "qianfan",
    "qwen",
    "sambanova",
    "siliconflow",
    "snowflake",
    "spark",
    "stepfun",
    "tencent",
    "together",
    "tuzi",
    "vercel",
    "vllm",
    "volcengine",
    "voyage",
    "xai",
    "xinference",
    "zai",
    "zhipu",
];

#[test]
fn the_table_has_every_vendor_and_each_knows_its_name() {
    let names: Vec<&str> = providers().keys().map(String::as_str).collect();
    assert_eq!(names, EXPECTED);
    assert!(providers().iter().all(|(name, row)| *name == row.name));
}

/// Well-known values of `gen_ai.provider.name` that are no row's name: who looks on knows vendors by them, so they must be used
/// (open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-spans.md).
#[test]
fn vendors_are_told_of_by_the_names_that_the_conventions_have_for_them() {
    let of_rows = providers().values().filter(|row| row.conventional_name() != row.name);
    let renamed: Vec<(&str, &str)> = of_rows.map(|row| (row.name.as_str(), row.conventional_name())).collect();
    let expected = [
        ("azure-openai", "azure.ai.openai"),
        ("bedrock", "aws.bedrock"),
        ("cohere-native", "cohere"),
        ("gemini", "gcp.gemini"),
        ("gemini-openai", "gcp.gemini"),
        ("mistral", "mistral_ai"),
        ("moonshot", "moonshot_ai"),
        ("openai-responses", "openai"),
        ("xai", "x_ai"),
    ];
    assert_eq!(renamed, expected);
    for known in ["anthropic", "cohere", "deepseek", "groq", "openai", "perplexity"] {
        assert_eq!(providers()[known].conventional_name(), known);
    }
}

#[test]
fn every_row_can_be_used() {
    for (name, row) in providers() {
        assert!(!row.dialects.is_empty(), "{name}: no dialect");
        let distinct: HashSet<_> = row.dialects.iter().collect();
        assert_eq!(distinct.len(), row.dialects.len(), "{name}: a dialect twice");

        if let Some(url) = &row.base_url {
            assert!(!url.ends_with('/') && !url.contains(['?', '#', '@']), "{name}: {url}");
            let uri: Uri = url.parse().unwrap();
            let local = matches!(uri.host(), Some("127.0.0.1" | "localhost"));
            assert!(uri.scheme_str() == Some("https") || local, "{name}: a key would go over plain HTTP");
            assert!(!local || row.key_optional, "{name}: a server at home needs no key");
        }
        for variable in row.env_names() {
            let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            assert!(variable.chars().all(legal), "{name}: {variable}");
        }
        let models: HashSet<_> = row.default_models.iter().collect();
        assert_eq!(models.len(), row.default_models.len(), "{name}: a model twice");
        assert!(row.default_models.iter().all(|model| !model.is_empty() && model.trim() == model), "{name}");
        if !row.default_models.is_empty() {
            assert!(row.env.is_some() && row.base_url.is_some(), "{name}: default models that nothing can reach");
        }
        let always = !row.speaks(DialectId::OpenAi) && !row.speaks(DialectId::OpenAiResponses);
        if always {
            assert_eq!(row.stream_usage, StreamUsage::Always, "{name}: its dialect has no such option");
        }
        let (header, value) = row.auth.header("sk-upstream").unwrap().unwrap();
        assert!(value.is_sensitive() && Some(header) == row.auth.header_name(), "{name}");
    }
}

#[test]
fn what_the_vendors_sdks_send() {
    let row = |name: &str| &providers()[name];
    let header = |name: &str| {
        let (name, value) = row(name).auth.header("k").unwrap().unwrap();
        format!("{name}: {}", value.to_str().unwrap())
    };
    assert_eq!(header("openai"), "authorization: Bearer k");
    assert_eq!(header("anthropic"), "x-api-key: k");
    assert_eq!(header("gemini"), "x-goog-api-key: k");
    assert_eq!(header("azure-openai"), "api-key: k");
    assert_eq!(row("anthropic").headers[0].0, "anthropic-version");
    assert_eq!(row("anthropic").headers[0].1, "2023-06-01");
    assert_eq!(row("mistral").stream_usage, StreamUsage::Always);
    assert_eq!(row("cohere").stream_usage, StreamUsage::Unsupported);
    assert_eq!(row("openai").stream_usage, StreamUsage::OptIn);
}

#[test]
fn a_start_without_a_file_takes_what_the_environment_offers() {
    assert!(from_environment(|_| false).is_empty());
    let found = from_environment(|name| ["OPENAI_API_KEY", "GOOGLE_API_KEY", "AZURE_OPENAI_API_KEY"].contains(&name));
    let found: Vec<(&str, &str)> = found.iter().map(|(row, variable)| (row.name.as_str(), *variable)).collect();
    // Gemini by its second name; Azure has no base URL of its own and is left out.
    assert_eq!(found, [("gemini", "GOOGLE_API_KEY"), ("openai", "OPENAI_API_KEY")]);
    let found = from_environment(|name| name == "GEMINI_API_KEY" || name == "GOOGLE_API_KEY");
    assert_eq!(found.iter().map(|(_, variable)| *variable).collect::<Vec<_>>(), ["GEMINI_API_KEY"]);
}

#[test]
fn every_contract_variable_starts_a_vendor() {
    for variable in [
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "GEMINI_API_KEY",
        "DEEPSEEK_API_KEY",
        "DASHSCOPE_API_KEY",
        "GROQ_API_KEY",
        "OPENROUTER_API_KEY",
        "SILICONFLOW_API_KEY",
        "MISTRAL_API_KEY",
        "XAI_API_KEY",
    ] {
        assert_eq!(from_environment(|name| name == variable).len(), 1, "{variable}");
    }
}

#[test]
fn a_secret_is_never_shown() {
    let (_, value) = AuthScheme::Bearer.header(" sk-very-secret\n").unwrap().unwrap();
    assert_eq!(value.to_str().unwrap(), "Bearer sk-very-secret");
    assert!(!format!("{value:?}").contains("secret"));
    assert_eq!(AuthScheme::Bearer.header("a\nb"), Err(UnusableSecret));
    assert!(!UnusableSecret.to_string().contains("a\nb"));
    assert_eq!(AuthScheme::Bearer.header("  "), Ok(None));
    assert_eq!(AuthScheme::None.header("sk-x"), Ok(None));
    assert_eq!(AuthScheme::AwsSigv4.header("AKID:secret"), Ok(None));
    assert_eq!(AuthScheme::AwsSigv4.header("ABSKx").unwrap().unwrap().1, "Bearer ABSKx");
}

#[test]
fn a_wrong_row_is_refused() {
    let row = |line: &str| parse(&format!("[x]\ndialects = [\"openai\"]\nauth = \"bearer\"\n{line}\n"));
    assert!(row("").is_ok());
    for wrong in [
        "base_ulr = \"https://x\"",
        "headers = { \"Not A Name\" = \"1\" }",
        "headers = { \"x-upper-Case\" = \"1\" }",
        "headers = { \"x-a\" = \"1\\n2\" }",
        "stream_usage = \"never\"",
        "[x.usage]\nno_such_rule = true",
    ] {
        assert!(row(wrong).is_err(), "{wrong}");
    }
    assert!(parse("[x]\ndialects = [\"openia\"]\nauth = \"bearer\"\n").is_err());
    assert!(parse("[x]\ndialects = [\"openai\"]\nauth = { header = \"x api\" }\n").is_err());
}

/// Default models are named so that a seeded price book knows them. The vendors left out are those whose prices the
/// bundled data does not carry under their own name; servers at home cost nothing.
#[test]
fn default_models_have_a_known_price() {
    const PRICED_AS: [(&str, &str); 18] = [
        ("anthropic", "anthropic"),
        ("avian", "avian"),
        ("cerebras", "cerebras"),
        ("cohere", "cohere"),
        ("deepseek", "deepseek"),
        ("fireworks", "fireworks"),
        ("gemini", "google"),
        ("groq", "groq"),
        ("minimax", "minimax"),
        ("mistral", "mistral"),
        ("moonshot", "moonshotai"),
        ("novita", "novita"),
        ("openai", "openai"),
        ("openrouter", "openrouter"),
        ("together", "together"),
        ("voyage", "voyageai"),
        ("xai", "x-ai"),
        ("zai", "zai"),
    ];
    let mut tokens = genai_prices::Usage::default();
    tokens.insert("input_tokens", 1000.0);
    let mut missing = Vec::new();
    for (vendor, priced_as) in PRICED_AS.into_iter().chain([("perplexity", "perplexity"), ("zhipu", "zhipuai")]) {
        let row = &providers()[vendor];
        assert!(!row.default_models.is_empty(), "{vendor}");
        for model in &row.default_models {
            let request = genai_prices::PriceRequest::new(model, &tokens).with_provider_id(priced_as);
            if genai_prices::calculate(&request).is_err() {
                missing.push(format!("{vendor}: {model}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn what_models_of_openais_take_is_known_where_they_are_openais_alone() {
    let mut of_openai: Vec<&str> =
        providers().values().filter(|row| row.chat.openai_models).map(|row| row.name.as_str()).collect();
    of_openai.sort_unstable();
    assert_eq!(of_openai, ["azure-openai", "openai", "openai-responses"]);
}

/// The most output tokens of a request at a vendor whose model's price row says 1,000, and where nothing is configured but 7.
fn held_at((vendor, model): (&str, &str), path: &str, body: &str) -> u64 {
    let target = target(&Method::POST, path, None, &HeaderMap::new()).expect("a path");
    let facts = read_request(target.endpoint, &target, None, &Bytes::copy_from_slice(body.as_bytes())).expect(body);
    let provider = &providers()[vendor];
    let is_translated = !provider.speaks(target.endpoint.dialect);
    facts.output_tokens_bound(&provider.chat.output_limits(model, is_translated), Some(1_000), 7)
}

#[test]
#[rustfmt::skip]
fn where_a_limit_is_of_the_answer_alone_thoughts_are_held_for_beside_it() {
    const CHAT: &str = "/v1/chat/completions";
    const MESSAGES: &str = "/v1/messages";
    const GEMINI: &str = "/v1beta/models/m:generateContent";
    for (at, path, asked, tokens) in [
        (("openai", "gpt-5"), CHAT, r#""max_tokens":16"#, 16),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_tokens":16"#, 16 + 262_144),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_tokens":16,"n":2"#, 2 * (16 + 262_144)),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_completion_tokens":16"#, 26),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_completion_tokens":16,"max_tokens":16"#, 16 + 262_144),
        (("qwen", "qwen3.7-max"), CHAT, r#""stream":false"#, 1_000 + 262_144),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_tokens":16,"thinking_budget":100"#, 16 + 110),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_tokens":16,"thinking_budget":900000"#, 16 + 262_144),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_tokens":16,"thinking":{"type":"enabled","budget_tokens":1}"#, 16 + 262_144),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_tokens":16,"enable_thinking":false"#, 16),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_tokens":16,"enable_thinking":false,"reasoning_effort":"high""#, 16 + 262_144),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_tokens":16,"thinking":{"type":"disabled"}"#, 16 + 262_144),
        // What stands there may mean nothing to it, or take the place of what stands beside it.
        (("qwen", "qwen3.7-max"), CHAT, r#""max_tokens":16,"extra_body":{"enable_thinking":false}"#, 16 + 262_144),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_tokens":16,"enable_thinking":true,"extra_body":{"enable_thinking":false}"#, 16 + 262_144),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_tokens":16,"enable_thinking":false,"extra_body":{"enable_thinking":true}"#, 16 + 262_144),
        (("qwen", "qwen3.7-max"), CHAT, r#""extra_body":{"thinking_budget":1},"max_tokens":16"#, 16 + 262_144),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_tokens":16,"thinking_budget":1,"extra_body":{"thinking_budget":100}"#, 16 + 110),
        (("qwen", "qwen3.7-max"), CHAT, r#""max_completion_tokens":16,"extra_body":{"max_tokens":16}"#, 16 + 262_144),
        (("qwen", "qwen-plus"), CHAT, r#""max_tokens":16,"extra_body":{"thinking_budget":9}"#, 16 + 81_920),
        (("qwen", "qwen-plus"), CHAT, r#""max_tokens":16,"extra_body":{"enable_thinking":true}"#, 16 + 81_920),
        (("qwen", "qwen-plus"), CHAT, r#""max_tokens":16"#, 16),
        (("qwen", "qwen-plus"), CHAT, r#""max_tokens":16,"enable_thinking":true"#, 16 + 81_920),
        (("qwen", "qwen-plus"), CHAT, r#""max_tokens":16,"reasoning":{"effort":"low"}"#, 16 + 81_920),
        (("qwen", "qwen-plus"), CHAT, r#""max_tokens":16,"reasoning":{"effort":"none"}"#, 16),
        (("qwen", "qwen-plus"), CHAT, r#""max_tokens":16,"chat_template_kwargs":{"enable_thinking":true}"#, 16 + 81_920),
        // It does not know the newer name.
        (("qwen", "qwen-plus"), CHAT, r#""max_completion_tokens":16,"enable_thinking":true"#, 16 + 81_920),
        (("qwen", "qwen3-32b"), CHAT, r#""max_tokens":16"#, 16 + 81_920),
        (("qwen", "qwen3-vl-8b-instruct"), CHAT, r#""max_tokens":16"#, 16),
        (("qwen", "qwen3-vl-8b-thinking"), CHAT, r#""max_tokens":16"#, 16 + 81_920),
        (("qwen", "qwen3-omni-flash-2025-12-01"), CHAT, r#""max_tokens":16"#, 16),
        (("qwen", "qwen3-coder-plus"), CHAT, r#""max_tokens":16,"enable_thinking":true"#, 16),
        (("qwen", "qwen3-235b-a22b-thinking-2507"), CHAT, r#""max_tokens":16,"enable_thinking":false"#, 16 + 81_920),
        (("qwen", "qwen4-max"), CHAT, r#""max_tokens":16"#, 16),
        (("qwen", "glm-4.7"), CHAT, r#""max_tokens":16"#, 16 + 1_000),
        // A translated limit is written as one of both where that is known.
        (("qwen", "qwen3.7-max"), MESSAGES, r#""max_tokens":16"#, 26),
        (("qwen", "qwen3-32b"), MESSAGES, r#""max_tokens":16"#, 16 + 81_920),
        (("qwen", "qwen3-32b"), MESSAGES, r#""max_tokens":16,"thinking":{"type":"disabled"}"#, 16),
        (("qwen", "qwen3-32b"), MESSAGES, r#""max_tokens":16,"thinking":{"type":"enabled","budget_tokens":9}"#, 16 + 19),
        (("qwen", "qwen3-32b"), MESSAGES, r#""max_tokens":16,"thinking":{"type":"adaptive","budget_tokens":9}"#, 16 + 81_920),
        (("qwen", "qwen3-32b"), GEMINI, r#""generationConfig":{"maxOutputTokens":16,"thinkingConfig":{"thinkingBudget":0}}"#, 16),
        (("qwen", "qwen3-32b"), GEMINI, r#""generationConfig":{"maxOutputTokens":16,"thinkingConfig":{"thinkingBudget":-1}}"#, 16 + 81_920),
        (("dashscope", "qwen3.7-max"), CHAT, r#""max_completion_tokens":16"#, 16 + 262_144),
        (("dashscope", "qwen3.7-max"), CHAT, r#""max_tokens":16,"reasoning_effort":"none""#, 16),
        (("dashscope", "qwen3.7-max"), CHAT, r#""max_tokens":16,"enable_thinking":false"#, 16),
        (("dashscope", "qwen3.7-max"), CHAT, r#""max_tokens":16,"enable_thinking":false,"reasoning_effort":"low""#, 16 + 262_144),
        (("volcengine", "doubao-seed-1-6-250615"), CHAT, r#""max_tokens":1"#, 1 + 32_768),
        (("volcengine", "doubao-seed-1-6-250615"), CHAT, r#""max_tokens":1,"thinking":{"type":"disabled"}"#, 1),
        (("volcengine", "doubao-seed-1-6-250615"), CHAT, r#""max_tokens":1,"enable_thinking":false"#, 1 + 32_768),
        (("volcengine", "doubao-seed-1-6-250615"), CHAT, r#""max_completion_tokens":1"#, 11),
        (("volcengine", "ep-20260101-x"), CHAT, r#""max_tokens":1"#, 1 + 1_000),
        (("volcengine", "deepseek-v3-250324"), CHAT, r#""max_tokens":1"#, 1),
        (("siliconflow", "Qwen/Qwen3-32B"), CHAT, r#""max_tokens":1"#, 1 + 32_768),
        (("siliconflow", "Qwen/Qwen3-32B"), CHAT, r#""max_tokens":1,"enable_thinking":false"#, 1),
        // What becomes of it in its way of being told to think is not known.
        (("siliconflow", "Qwen/Qwen3-32B"), MESSAGES, r#""max_tokens":1,"thinking":{"type":"disabled"}"#, 1 + 32_768),
        // It is sent as an effort, which is no budget.
        (("siliconflow", "Qwen/Qwen3-32B"), MESSAGES, r#""max_tokens":1,"thinking":{"type":"enabled","budget_tokens":9}"#, 1 + 32_768),
        (("siliconflow", "Qwen/Qwen3-32B"), GEMINI, r#""generationConfig":{"maxOutputTokens":1,"thinkingConfig":{"thinkingBudget":0}}"#, 1 + 32_768),
        (("siliconflow", "Qwen/Qwen3-32B"), CHAT, r#""max_tokens":1,"thinking_budget":9"#, 1 + 19),
        // Nothing but a conversation thinks.
        (("qwen", "qwen3.7-max"), "/v1/completions", r#""max_tokens":16,"prompt":"a""#, 16),
        (("qwen", "text-embedding-v4"), "/v1/embeddings", r#""input":"a""#, 0),
    ] {
        let body = format!(r#"{{"model":"m",{asked}}}"#);
        let body = body.replacen(r#""model":"m","#, if path == GEMINI { "" } else { r#""model":"m","# }, 1);
        assert_eq!(held_at(at, path, &body), tokens, "{at:?} {path} {body}");
    }
}

#[test]
fn a_row_that_thinks_like_another_has_that_one() {
    assert_eq!(providers()["dashscope"].chat.thinks_beyond_limit, providers()["qwen"].chat.thinks_beyond_limit);
    let row = |name: &str, more: &str| format!("[{name}]\ndialects = [\"openai\"]\nauth = \"none\"\n{more}\n");
    let error = parse(&row("a", "thinks_like = \"b\"")).expect_err("there is no b");
    assert!(error.to_string().contains("a.thinks_like"), "{error}");
    let error = parse(&row("a", "priced_like = \"b\"")).expect_err("there is no b");
    assert!(error.to_string().contains("a.priced_like"), "{error}");
}
