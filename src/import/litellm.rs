//! LiteLLM: its `config.yaml`, and what its table of keys has.

use super::{Found, FoundKey, FoundSecret, FoundUpstream, free_name};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Providers by the word before the model's name.
const PROVIDERS: &[(&str, &str)] = &[
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("gemini", "gemini"),
    ("azure", "azure-openai"),
    ("groq", "groq"),
    ("deepseek", "deepseek"),
    ("mistral", "mistral"),
    ("openrouter", "openrouter"),
    ("together_ai", "together"),
    ("xai", "xai"),
    ("cohere", "cohere"),
    ("cohere_chat", "cohere"),
    ("ollama", "ollama"),
    ("ollama_chat", "ollama"),
    ("perplexity", "perplexity"),
    ("fireworks_ai", "fireworks"),
    ("moonshot", "moonshot"),
    ("dashscope", "qwen"),
    ("hosted_vllm", "vllm"),
    ("nvidia_nim", "nvidia"),
    ("cerebras", "cerebras"),
    ("openai_like", "openai-compatible"),
    ("custom_openai", "openai-compatible"),
];
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
        found.leave("key", "master_key", "it may do everything there: make a key of its own for who uses it");
    }
    let settings = [("router_settings", &file.router_settings), ("litellm_settings", &file.litellm_settings)];
    for (section, settings) in settings {
        for (name, _) in settings {
            found.leave("setting", format!("{section}.{name}"), "settings are not taken");
        }
    }
    Ok(found)
}

/// LiteLLM adds the path of Azure's API by itself; here it is part of the base URL
/// (learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle: `/openai/v1`).
fn whole_base_url(provider: &str, base_url: &str) -> String {
    let base_url = base_url.trim_end_matches('/');
    let is_bare = base_url.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
    if provider == "azure-openai" && is_bare { format!("{base_url}/openai/v1") } else { base_url.to_owned() }
}

fn add(
    model: &Model,
    accounts: &mut BTreeMap<(String, String, String, i64), usize>,
    found: &mut Found,
) -> Result<(), String> {
    let text = |name: &str| model.litellm_params.get(name).and_then(Value::as_str).unwrap_or_default();
    let whole = text("model");
    if whole.is_empty() || model.model_name.is_empty() {
        return Err("it has no model".into());
    }
    if whole.contains('*') || model.model_name.contains('*') {
        return Err("models by pattern have no counterpart: name them one by one".into());
    }
    let (provider, upstream_model) = provider(whole)?;
    let base_url = match text("api_base") {
        "" => text("base_url"),
        url => url,
    };
    if base_url.is_empty() && matches!(provider, "azure-openai" | "openai-compatible" | "vllm") {
        return Err("it has no api_base".into());
    }
    if base_url.starts_with(ENVIRONMENT) {
        return Err("its api_base is in the environment: set it by hand".into());
    }
    let secret = text("api_key");
    let weight = model.litellm_params.get("weight").and_then(Value::as_i64).unwrap_or(1).max(1);
    for name in ["rpm", "tpm", "input_cost_per_token", "output_cost_per_token"] {
        if model.litellm_params.contains_key(name) {
            found.leave("setting", format!("{}: {name}", model.model_name), "it is not taken");
        }
    }
    let account = (provider.to_owned(), base_url.to_owned(), secret.to_owned(), weight);
    let entry = (model.model_name.clone(), upstream_model.to_owned());
    if let Some(at) = accounts.get(&account)
        && found.upstreams[*at].models.iter().all(|(name, _)| *name != entry.0)
    {
        found.upstreams[*at].models.push(entry);
        return Ok(());
    }
    let name = free_name(provider, |name| found.upstreams.iter().any(|upstream| upstream.name == name));
    accounts.insert(account, found.upstreams.len());
    found.upstreams.push(FoundUpstream {
        name,
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

fn provider(whole: &str) -> Result<(&'static str, &str), String> {
    let by_word = whole.split_once('/').and_then(|(word, model)| {
        let found = PROVIDERS.iter().find(|(known, _)| *known == word)?;
        Some((found.1, model))
    });
    let by_beginning = || {
        let found = BEGINNINGS.iter().find(|(beginning, _)| whole.starts_with(beginning))?;
        Some((found.1, whole))
    };
    by_word.or_else(by_beginning).ok_or_else(|| format!("the provider of `{whole}` has no counterpart here"))
}

/// Reads rows of `LiteLLM_VerificationToken`: one JSON array, or an object a line. Keys stand there as their SHA-256, as they
/// do here.
///
/// # Errors
/// It is none of both.
pub(crate) fn keys(text: &str, found: &mut Found) -> Result<(), String> {
    let rows: Vec<Value> = match serde_json::from_str(text) {
        Ok(Value::Array(rows)) => rows,
        Ok(row @ Value::Object(_)) => vec![row],
        _ => text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("expected rows of LiteLLM_VerificationToken as JSON: {error}"))?,
    };
    for row in &rows {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let label = if text("key_alias").is_empty() { text("key_name") } else { text("key_alias") };
        let name = free_name(label, |name| found.keys.iter().any(|key| key.name == name));
        let Some(digest) = hex_digest(text("token")) else {
            found.leave("key", name, "its token is no SHA-256");
            continue;
        };
        let count = |name: &str| row[name].as_u64().filter(|count| *count > 0);
        let models: Vec<String> =
            row["models"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let spent_nanos = nanos(&row["spend"]).unwrap_or(0);
        let quota_nanos = nanos(&row["max_budget"]).map(|budget| budget.saturating_sub(spent_nanos).max(0));
        let user = [text("user_id"), text("team_id")].into_iter().find(|name| !name.is_empty());
        found.keys.push(FoundKey {
            name,
            digest,
            user: user.map(str::to_owned),
            group: "default".to_owned(),
            models: models.into_iter().filter(|model| !model.starts_with("all-")).collect(),
            enabled: row["blocked"].as_bool() != Some(true),
            expires_at_ms: text("expires").parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
            quota_nanos,
            rpm: count("rpm_limit"),
            tpm: count("tpm_limit"),
            concurrency: count("max_parallel_requests"),
        });
    }
    Ok(())
}

/// An amount in USD, by its digits; what is less than a nano-USD is left out.
fn nanos(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let (text, exponent) = match text.split_once(['e', 'E']) {
        Some((text, exponent)) => (text.to_owned(), exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let digits: i128 = format!("{whole}{part}").parse().ok()?;
    let shift = 9 + exponent - i32::try_from(part.len()).ok()?;
    let scale = 10_i128.checked_pow(shift.unsigned_abs())?;
    let nanos = if shift < 0 { digits / scale } else { digits.checked_mul(scale)? };
    i64::try_from(nanos).ok()
}

fn hex_digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let bytes = Some(text.as_bytes()).filter(|bytes| bytes.len() == 64)?;
    for (to, pair) in digest.iter_mut().zip(bytes.chunks_exact(2)) {
        *to = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_by_their_digits() {
        for (json, expected) in [
            ("10", Some(10_000_000_000)),
            ("0.1", Some(100_000_000)),
            ("1.5e-7", Some(150)),
            ("\"2.50\"", Some(2_500_000_000)),
            ("null", None),
            ("1e-12", Some(0)),
            ("1e99", None),
        ] {
            assert_eq!(nanos(&serde_json::from_str(json).unwrap()), expected, "{json}");
        }
    }
}
