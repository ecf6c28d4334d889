//! LiteLLM's `config.yaml`.

use super::{Found, FoundSecret, FoundUpstream, WITHOUT_BASE_URL, exact, upstream_name};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A word, our provider, and a base URL.
type Provider = (&'static str, &'static str, &'static str);

/// Providers by the word before the model's name, each with where it calls if the configuration does not say and that is not our
/// provider's own base URL (BerriAI/litellm, `get_llm_provider_logic.py`, `llms`, `llms/openai_like/providers.json`).
#[rustfmt::skip]
const PROVIDERS: &[Provider] = &[
    ("openai", "openai", ""),
    ("text-completion-openai", "openai", ""),
    ("anthropic", "anthropic", ""),
    ("gemini", "gemini", ""),
    ("azure", "azure-openai", ""),
    ("groq", "groq", ""),
    ("deepseek", "deepseek", ""),
    ("mistral", "mistral", ""),
    ("codestral", "mistral", "https://codestral.mistral.ai/v1"),
    ("openrouter", "openrouter", ""),
    ("together_ai", "together", ""),
    ("xai", "xai", ""),
    ("cohere", "cohere", ""),
    ("cohere_chat", "cohere", ""),
    ("ollama", "ollama", ""),
    ("ollama_chat", "ollama", ""),
    ("perplexity", "perplexity", ""),
    ("fireworks_ai", "fireworks", ""),
    ("moonshot", "moonshot", ""),
    ("dashscope", "qwen", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
    ("qwencloud", "qwen", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
    ("qwen_ai_platform", "qwen", ""),
    ("hosted_vllm", "vllm", ""),
    ("llamafile", "llamacpp", ""),
    ("lm_studio", "lmstudio", ""),
    ("xinference", "xinference", ""),
    ("nvidia_nim", "nvidia", ""),
    ("cerebras", "cerebras", ""),
    ("vercel_ai_gateway", "vercel", ""),
    ("zai", "zai", ""),
    ("bigmodel", "zhipu", ""),
    ("minimax", "minimax", ""),
    ("volcengine", "volcengine", ""),
    ("tencent", "tencent", "https://tokenhub-intl.tencentcloudmaas.com/v1"),
    ("deepinfra", "deepinfra", ""),
    ("sambanova", "sambanova", ""),
    ("novita", "novita", ""),
    ("nebius", "nebius", ""),
    ("crusoe", "crusoe", ""),
    ("huggingface", "huggingface", ""),
    ("ai21", "ai21", ""),
    ("ai21_chat", "ai21", ""),
    ("voyage", "voyage", ""),
    ("jina_ai", "jina", ""),
    ("cloudflare", "cloudflare", ""),
    ("databricks", "databricks", ""),
    ("snowflake", "snowflake", ""),
    ("openai_like", "openai-compatible", ""),
    ("custom_openai", "openai-compatible", ""),
    ("litellm_proxy", "openai-compatible", ""),
    ("baseten", "openai-compatible", "https://inference.baseten.co/v1"),
    ("featherless_ai", "openai-compatible", "https://api.featherless.ai/v1"),
    ("friendliai", "openai-compatible", "https://api.friendli.ai/serverless/v1"),
    ("hyperbolic", "openai-compatible", "https://api.hyperbolic.xyz/v1"),
    ("meta", "openai-compatible", "https://api.meta.ai/v1"),
    ("wandb", "openai-compatible", "https://api.inference.wandb.ai/v1"),
];
/// What LiteLLM puts behind a base URL that is a host alone (Azure: learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle;
/// the others: their `get_complete_url`).
const BEHIND_HOSTS: [(&str, &str); 4] =
    [("azure-openai", "/openai/v1"), ("huggingface", "/v1"), ("minimax", "/v1"), ("ollama", "/v1")];
/// How base URLs of their own ways of calling end, and ours (`llms/snowflake`, `llms/cloudflare`).
const ENDS: [(&str, &str, &str); 2] =
    [("snowflake", "/api/v2", "/api/v2/cortex/v1"), ("cloudflare", "/ai/run", "/ai/v1")];
/// What a name without such a word begins with.
const BEGINNINGS: &[(&str, &str)] = &[
    ("gpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-", "openai"),
    ("claude", "anthropic"),
    ("gemini", "gemini"),
];
/// What is an environment variable's name.
const ENVIRONMENT: &str = "os.environ/";
/// What is read of a model's parameters.
const READ: [&str; 6] = ["model", "custom_llm_provider", "api_base", "base_url", "api_key", "weight"];

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    model_list: Vec<Model>,
    #[serde(default)]
    general_settings: Map<String, Value>,
    #[serde(default)]
    router_settings: Map<String, Value>,
    #[serde(default)]
    litellm_settings: Map<String, Value>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    model_name: String,
    #[serde(default)]
    litellm_params: Map<String, Value>,
}

/// Reads `config.yaml`.
///
/// # Errors
/// It is none, and where.
pub(crate) fn read(yaml: &str) -> Result<Found, String> {
    let file: File = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
    let mut found = Found::default();
    // Models of one account are one upstream.
    let mut accounts: BTreeMap<(String, String, String, i64), usize> = BTreeMap::new();
    for model in &file.model_list {
        if let Err(why) = add(model, &mut accounts, &mut found) {
            found.leave("upstream", model.model_name.clone(), why);
        }
    }
    if file.general_settings.contains_key("master_key") {
        found.leave("key", "master_key", "it may do everything there: make a new key for whoever uses it");
    }
    let settings = [("router_settings", &file.router_settings), ("litellm_settings", &file.litellm_settings)];
    for (section, settings) in settings {
        for (name, _) in settings {
            found.leave("setting", format!("{section}.{name}"), "settings are not taken");
        }
    }
    Ok(found)
}

/// Our base URL for theirs.
fn whole_base_url(provider: &str, base_url: &str) -> String {
    let base_url = base_url.trim_end_matches('/');
    let is_host = base_url.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
    if let Some((_, path)) = BEHIND_HOSTS.iter().find(|(of, _)| is_host && *of == provider) {
        return format!("{base_url}{path}");
    }
    let ends = ENDS.iter().filter(|(of, ..)| *of == provider);
    let whole = ends.filter_map(|(_, theirs, ours)| Some(format!("{}{ours}", base_url.strip_suffix(theirs)?))).next();
    whole.unwrap_or_else(|| base_url.to_owned())
}

/// What our provider calls a model of theirs: Hugging Face's router has who serves it behind its name, LiteLLM in front.
fn own_model(provider: &str, model: &str) -> String {
    match model.split_once('/') {
        Some((server, rest)) if provider == "huggingface" && rest.contains('/') => format!("{rest}:{server}"),
        _ => model.to_owned(),
    }
}

fn add(
    model: &Model,
    accounts: &mut BTreeMap<(String, String, String, i64), usize>,
    found: &mut Found,
) -> Result<(), String> {
    let text = |name: &str| exact::text(&model.litellm_params, name);
    let whole = text("model")?;
    if whole.is_empty() || model.model_name.is_empty() {
        return Err("it has no model".into());
    }
    if whole.contains('*') || model.model_name.contains('*') {
        return Err("models by pattern have no counterpart: name them one by one".into());
    }
    let (&(_, provider, default), upstream_model) = provider(text("custom_llm_provider")?, whole)?;
    let base_url = match text("api_base")? {
        "" => text("base_url")?,
        url => url,
    };
    let is_own = base_url.is_empty();
    let base_url = if is_own { default } else { base_url };
    if base_url.is_empty() && (WITHOUT_BASE_URL.contains(&provider) || provider == "vllm") {
        return Err("it has no api_base".into());
    }
    if base_url.starts_with(ENVIRONMENT) {
        return Err("its api_base is in the environment: set it by hand".into());
    }
    let secret = text("api_key")?;
    let weight = exact::number(&model.litellm_params, "weight").unwrap_or_else(|why| {
        found.leave("setting", format!("{}: weight", model.model_name), why);
        None
    });
    let weight = weight.unwrap_or(1).max(1);
    for name in model.litellm_params.keys().filter(|name| !READ.contains(&name.as_str())) {
        found.leave("setting", format!("{}: {name}", model.model_name), "it is not taken");
    }
    let account = (provider.to_owned(), base_url.to_owned(), secret.to_owned(), weight);
    let upstream_model = if is_own { own_model(provider, upstream_model) } else { upstream_model.to_owned() };
    let entry = (model.model_name.clone(), upstream_model);
    if let Some(at) = accounts.get(&account)
        && found.upstreams[*at].models.iter().all(|(name, _)| *name != entry.0)
    {
        found.upstreams[*at].models.push(entry);
        return Ok(());
    }
    accounts.insert(account, found.upstreams.len());
    found.upstreams.push(FoundUpstream {
        name: upstream_name(provider, provider, &found.upstreams),
        name_there: model.model_name.clone(),
        provider,
        base_url: (!base_url.is_empty()).then(|| whole_base_url(provider, base_url)),
        secret: match secret.strip_prefix(ENVIRONMENT) {
            Some(variable) => FoundSecret::Environment(variable.to_owned()),
            None if secret.is_empty() => FoundSecret::Nothing,
            None => FoundSecret::Value(secret.into()),
        },
        models: vec![entry],
        groups: vec!["default".to_owned()],
        weight: u32::try_from(weight).unwrap_or(u32::MAX),
        priority: 0,
    });
    Ok(())
}

/// The provider here, and the model's name without its word. `named`: what the configuration says beside the name, or nothing.
fn provider<'m>(named: &str, whole: &'m str) -> Result<(&'static Provider, &'m str), String> {
    let of_word = |word: &str| PROVIDERS.iter().find(|(known, ..)| *known == word);
    let unknown = |what: &str| format!("the provider of `{what}` has no counterpart here");
    if !named.is_empty() {
        let model = whole.strip_prefix(named).and_then(|rest| rest.strip_prefix('/')).unwrap_or(whole);
        return Ok((of_word(named).ok_or_else(|| unknown(named))?, model));
    }
    let by_word = whole.split_once('/').and_then(|(word, model)| Some((of_word(word)?, model)));
    let by_beginning = || {
        let found = BEGINNINGS.iter().find(|(beginning, _)| whole.starts_with(beginning))?;
        Some((of_word(found.1)?, whole))
    };
    by_word.or_else(by_beginning).ok_or_else(|| unknown(whole))
}
