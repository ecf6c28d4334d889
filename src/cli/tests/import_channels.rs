//! Which of our providers the channels of One API and new-api and the words of LiteLLM become, and where they call.

use super::import::{database, import, names};
use super::*;
use crate::provider::providers;

/// An upstream that an import has written: its provider, and its base URL if it has one of its own.
fn written(place: &Place, name: &str) -> Option<(String, Option<String>)> {
    let file: toml::Table = place.read("tollgate.toml").parse().expect("TOML");
    let row = file["upstream"].as_array()?.iter().find(|row| row["name"].as_str() == Some(name))?;
    let text = |key: &str| row.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    Some((text("provider")?, text("base_url")))
}

/// Channels of one type each, `t1` and on, with this base URL, and what they are written as.
fn channels(flavour: &str, types: std::ops::RangeInclusive<u32>, base_url: &str) -> Vec<String> {
    let place = Place::new();
    let values: Vec<String> = types
        .clone()
        .map(|kind| {
            let (other, config) = match flavour {
                "one-api" => ("", r#"{"user_id": "a1b2"}"#),
                _ => ("a1b2", ""),
            };
            format!("({kind}, 'k', 1, 't{kind}', '{base_url}', 'm', '{other}', '{config}')")
        })
        .collect();
    let columns =
        "type INTEGER, key TEXT, status INTEGER, name TEXT, base_url TEXT, models TEXT, other TEXT, config TEXT";
    database(
        &place,
        "it.db",
        &format!("CREATE TABLE channels ({columns}); INSERT INTO channels VALUES {};", values.join(",")),
    );
    import(&place, flavour, "it.db", "");
    let shown = |kind| {
        let (provider, url) = written(&place, &format!("t{kind}"))?;
        Some(format!("{kind} {provider} {}", url.unwrap_or_else(|| "-".to_owned())))
    };
    types.filter_map(shown).collect()
}

const ONE_API: &str = "
1 openai -
14 anthropic -
16 zhipu -
17 qwen -
19 openai-compatible https://ai.360.cn/v1
20 openrouter -
24 gemini -
25 moonshot https://api.moonshot.cn/v1
26 baichuan -
27 minimax https://api.minimaxi.com/v1
28 mistral -
29 groq -
30 ollama -
31 openai-compatible https://api.lingyiwanwu.com/v1
32 stepfun https://api.stepfun.com/v1
35 cohere -
36 deepseek -
37 cloudflare https://api.cloudflare.com/client/v4/accounts/a1b2/ai/v1
39 together -
40 volcengine -
41 novita -
44 siliconflow -
45 xai -
47 qianfan -
48 spark -
49 qwen -
51 gemini-openai -";

const ONE_API_ELSEWHERE: &str = "
1 openai https://p.example/v1
2 openai-compatible https://p.example/v1
3 azure-openai https://p.example/openai/v1
4 openai-compatible https://p.example/v1
5 openai-compatible https://p.example/v1
6 openai-compatible https://p.example/v1
7 openai-compatible https://p.example/v1
8 openai-compatible https://p.example/v1
9 openai-compatible https://p.example/v1
10 openai-compatible https://p.example/v1
12 openai-compatible https://p.example/v1
13 openai-compatible https://p.example/v1
14 anthropic https://p.example
16 zhipu https://p.example/api/paas/v4
17 qwen https://p.example/compatible-mode/v1
19 openai-compatible https://p.example/v1
20 openrouter https://p.example/v1
22 openai-compatible https://p.example/v1
24 gemini https://p.example
25 moonshot https://p.example/v1
26 baichuan https://p.example/v1
27 minimax https://p.example/v1
28 mistral https://p.example/v1
29 groq https://p.example/v1
30 ollama https://p.example/v1
31 openai-compatible https://p.example/v1
32 stepfun https://p.example/v1
35 cohere https://p.example/compatibility/v1
36 deepseek https://p.example/v1
37 cloudflare https://p.example/client/v4/accounts/a1b2/ai/v1
39 together https://p.example/v1
40 volcengine https://p.example/api/v3
41 novita https://p.example
44 siliconflow https://p.example/v1
45 xai https://p.example/v1
47 qianfan https://p.example/v2
48 spark https://p.example/v1
49 qwen https://p.example/compatible-mode/v1
50 openai-compatible https://p.example
51 gemini-openai https://p.example";

const NEW_API: &str = "
1 openai -
4 ollama -
14 anthropic -
16 zhipu -
17 qwen -
19 openai-compatible https://api.360.cn/v1
20 openrouter -
24 gemini -
25 moonshot https://api.moonshot.cn/v1
26 zhipu -
27 perplexity -
31 openai-compatible https://api.lingyiwanwu.com/v1
34 cohere -
35 minimax https://api.minimaxi.com/v1
38 jina -
39 cloudflare https://api.cloudflare.com/client/v4/accounts/a1b2/ai/v1
40 siliconflow -
42 mistral -
43 deepseek -
45 volcengine -
46 qianfan -
47 xinference -
48 xai -
53 openai-compatible https://llm.submodel.ai/v1";

const NEW_API_ELSEWHERE: &str = "
1 openai https://p.example/v1
3 azure-openai https://p.example/openai/v1
4 ollama https://p.example/v1
6 openai-compatible https://p.example/v1
7 openai-compatible https://p.example/v1
9 openai-compatible https://p.example/v1
10 openai-compatible https://p.example/v1
12 openai-compatible https://p.example/v1
13 openai-compatible https://p.example/v1
14 anthropic https://p.example
16 zhipu https://p.example/api/paas/v4
17 qwen https://p.example/compatible-mode/v1
19 openai-compatible https://p.example/v1
20 openrouter https://p.example/v1
22 openai-compatible https://p.example/v1
24 gemini https://p.example
25 moonshot https://p.example/v1
26 zhipu https://p.example/api/paas/v4
27 perplexity https://p.example
31 openai-compatible https://p.example/v1
34 cohere https://p.example/compatibility/v1
35 minimax https://p.example/v1
38 jina https://p.example/v1
39 cloudflare https://p.example/client/v4/accounts/a1b2/ai/v1
40 siliconflow https://p.example/v1
42 mistral https://p.example/v1
43 deepseek https://p.example/v1
45 volcengine https://p.example/api/v3
46 qianfan https://p.example/v2
47 xinference https://p.example/v1
48 xai https://p.example/v1
53 openai-compatible https://p.example/v1";

#[test]
fn every_type_of_channel_is_the_provider_that_it_calls_where_it_does() {
    for (flavour, types, url, expected) in [
        ("one-api", 1..=51, "", ONE_API),
        ("one-api", 1..=51, "https://p.example/", ONE_API_ELSEWHERE),
        ("new-api", 1..=60, "", NEW_API),
        ("new-api", 1..=60, "https://p.example", NEW_API_ELSEWHERE),
    ] {
        let expected: Vec<&str> = expected.trim_start().lines().collect();
        assert_eq!(channels(flavour, types, url), expected, "{flavour} {url}");
    }
}

#[test]
fn base_urls_that_say_more_or_less_than_a_host_are_understood() {
    for (flavour, kind, given, expected) in [
        ("one-api", 1, "https://p.example/v1/", Some("https://p.example/v1")),
        (
            "one-api",
            1,
            "https://gateway.ai.cloudflare.com/v1/acc/gw/openai",
            Some("https://gateway.ai.cloudflare.com/v1/acc/gw/openai"),
        ),
        ("one-api", 3, "https://gateway.ai.cloudflare.com/v1/acc/gw/azure-openai/r", None),
        ("one-api", 29, "https://api.groq.com/openai", Some("https://api.groq.com/openai/v1")),
        (
            "one-api",
            37,
            "https://gateway.ai.cloudflare.com/v1/acc/gw/workers-ai",
            Some("https://gateway.ai.cloudflare.com/v1/acc/gw/workers-ai/v1"),
        ),
        ("one-api", 40, "https://p.example/api/v3", Some("https://p.example/api/v3")),
        ("one-api", 50, "https://p.example/api/v4", Some("https://p.example/api/v4")),
        ("new-api", 8, "https://p.example/api/v4/chat/completions", Some("https://p.example/api/v4")),
        ("new-api", 8, "https://p.example/{model}/chat/completions", None),
        ("new-api", 8, "https://p.example/v1", None),
        ("new-api", 26, "glm-coding-plan", Some("https://open.bigmodel.cn/api/coding/paas/v4")),
        ("new-api", 26, "glm-coding-plan-international", Some("https://api.z.ai/api/coding/paas/v4")),
        ("new-api", 45, "doubao-coding-plan", Some("https://ark.cn-beijing.volces.com/api/coding/v3")),
    ] {
        let found = channels(flavour, kind..=kind, given);
        let url = found.first().and_then(|line| line.split(' ').nth(2));
        assert_eq!(url, expected, "{flavour} {kind} {given}");
    }
}

/// Azure's deployments: both leave the dots out, new-api for channels from before 2025-05-10 alone.
#[test]
fn deployments_are_called_as_they_were() {
    for (flavour, created_s, expected) in [
        ("one-api", 1_800_000_000, "gpt-35"),
        ("new-api", 1_746_835_199, "gpt-35"),
        ("new-api", 1_746_835_200, "gpt-3.5"),
    ] {
        let place = Place::new();
        let sql = format!(
            "CREATE TABLE channels (type INTEGER, key TEXT, status INTEGER, name TEXT, base_url TEXT, models TEXT, created_time INTEGER);
             INSERT INTO channels VALUES (3, 'k', 1, 'az', 'https://r.openai.azure.com', 'gpt-3.5', {created_s});"
        );
        database(&place, "it.db", &sql);
        assert_eq!(names(&import(&place, flavour, "it.db", ""), "upstream", true), ["az"]);
        let text = place.read("tollgate.toml");
        let says = |model: &str| text.contains(&format!("upstream_model = \"{model}\""));
        assert_eq!(
            (says("gpt-35"), text.contains("[\"gpt-3.5\"]")),
            (expected == "gpt-35", expected == "gpt-3.5"),
            "{text}"
        );
    }
}

const LITELLM: &str = "
ai21/m ai21 - m
ai21_chat/m ai21 - m
baseten/m openai-compatible https://inference.baseten.co/v1 m
bigmodel/m zhipu - m
codestral/m mistral https://codestral.mistral.ai/v1 m
crusoe/o/m crusoe - o/m
dashscope/m qwen https://dashscope-intl.aliyuncs.com/compatible-mode/v1 m
deepinfra/o/m deepinfra - o/m
featherless_ai/o/m openai-compatible https://api.featherless.ai/v1 o/m
friendliai/m openai-compatible https://api.friendli.ai/serverless/v1 m
huggingface/o/m huggingface - o/m
huggingface/together/o/m huggingface - o/m:together
hyperbolic/o/m openai-compatible https://api.hyperbolic.xyz/v1 o/m
jina_ai/m jina - m
llamafile/m llamacpp - m
lm_studio/m lmstudio - m
meta/m openai-compatible https://api.meta.ai/v1 m
minimax/m minimax - m
nebius/o/m nebius - o/m
novita/o/m novita - o/m
qwen_ai_platform/m qwen - m
qwencloud/m qwen https://dashscope-intl.aliyuncs.com/compatible-mode/v1 m
sambanova/m sambanova - m
tencent/m tencent https://tokenhub-intl.tencentcloudmaas.com/v1 m
text-completion-openai/m openai - m
vercel_ai_gateway/o/m vercel - o/m
volcengine/m volcengine - m
voyage/m voyage - m
wandb/o/m openai-compatible https://api.inference.wandb.ai/v1 o/m
xinference/m xinference - m
zai/m zai - m";

/// What LiteLLM's `model` and `api_base` are written as.
fn litellm(model: &str, api_base: &str) -> Option<String> {
    let place = Place::new();
    let base = if api_base.is_empty() { String::new() } else { format!(", api_base: \"{api_base}\"") };
    place.write(
        "c.yaml",
        &format!("model_list:\n  - {{model_name: x, litellm_params: {{model: {model}, api_key: k{base}}}}}\n"),
    );
    let rows = import(&place, "litellm", "c.yaml", "");
    let name = names(&rows, "upstream", true).into_iter().next()?;
    let (provider, url) = written(&place, &name)?;
    let file: toml::Table = place.read("tollgate.toml").parse().expect("TOML");
    let row = file["upstream"].as_array()?.last()?;
    let upstream_model = row["models"][0]["upstream_model"].as_str()?;
    Some(format!("{model} {provider} {} {upstream_model}", url.unwrap_or_else(|| "-".to_owned())))
}

#[test]
fn every_word_of_litellms_is_the_provider_that_it_calls_where_it_does() {
    for expected in LITELLM.trim_start().lines() {
        let model = expected.split(' ').next().expect("a model");
        assert_eq!(litellm(model, "").as_deref(), Some(expected));
    }
    for model in [
        "cloudflare/@cf/m",
        "databricks/m",
        "snowflake/m",
        "litellm_proxy/m",
        "openai_like/m",
        "azure/m",
        "hosted_vllm/m",
    ] {
        assert_eq!(litellm(model, ""), None, "{model}: it has no base URL of its own");
    }
    for model in ["vertex_ai/m", "bedrock/m", "github/m", "replicate/o/m"] {
        assert_eq!(litellm(model, "https://x.example/v1"), None, "{model}: no counterpart");
    }
}

#[test]
fn litellms_base_urls_are_made_ours() {
    for (model, given, expected) in [
        ("azure/m", "https://r.openai.azure.com/", "azure-openai https://r.openai.azure.com/openai/v1 m"),
        (
            "cloudflare/@cf/m",
            "https://api.cloudflare.com/client/v4/accounts/a/ai/run/",
            "cloudflare https://api.cloudflare.com/client/v4/accounts/a/ai/v1 @cf/m",
        ),
        (
            "databricks/m",
            "https://w.cloud.databricks.com/serving-endpoints",
            "databricks https://w.cloud.databricks.com/serving-endpoints m",
        ),
        (
            "huggingface/o/p/m",
            "https://e.endpoints.huggingface.cloud",
            "huggingface https://e.endpoints.huggingface.cloud/v1 o/p/m",
        ),
        ("minimax/m", "https://api.minimaxi.com", "minimax https://api.minimaxi.com/v1 m"),
        ("ollama/m", "http://box:11434", "ollama http://box:11434/v1 m"),
        ("ollama_chat/m", "http://box:11434/v1", "ollama http://box:11434/v1 m"),
        (
            "snowflake/m",
            "https://a.snowflakecomputing.com/api/v2",
            "snowflake https://a.snowflakecomputing.com/api/v2/cortex/v1 m",
        ),
        (
            "volcengine/m",
            "https://ark.ap-southeast.bytepluses.com/api/v3",
            "volcengine https://ark.ap-southeast.bytepluses.com/api/v3 m",
        ),
    ] {
        assert_eq!(litellm(model, given), Some(format!("{model} {expected}")), "{model} {given}");
    }
}

#[test]
fn the_providers_of_imports_are_in_the_table_and_those_without_a_base_url_are_known() {
    let without: Vec<&str> =
        providers().values().filter(|row| row.base_url.is_none()).map(|row| row.name.as_str()).collect();
    assert_eq!(without, crate::import::WITHOUT_BASE_URL);
    let lines = [ONE_API, ONE_API_ELSEWHERE, NEW_API, NEW_API_ELSEWHERE, LITELLM].map(|list| list.trim_start().lines());
    for line in lines.into_iter().flatten() {
        let provider = line.split(' ').nth(1).expect("a provider");
        assert!(providers().contains_key(provider), "{line}");
    }
}
