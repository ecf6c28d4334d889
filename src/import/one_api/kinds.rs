//! Which of our providers a channel is, and where it calls.
//!
//! Numbers, base URLs and paths: songquanpeng/one-api, `relay/channeltype` and each adaptor's `GetRequestURL`; QuantumNous/new-api,
//! `constant/channel.go` and `relay/channel`.

use super::{Flavour, Row};
use crate::import::exact::{number, text};
use serde_json::Value;
use std::collections::HashMap;

/// A kind of channel.
pub(super) struct Kind {
    /// Its numbers in One API.
    one_api: &'static [i64],
    /// Its numbers in new-api.
    new_api: &'static [i64],
    /// Ours.
    pub(super) provider: &'static str,
    place: Place,
    /// Where a channel without a base URL calls, if that is not our provider's own base URL: another place has other accounts.
    default: Option<&'static str>,
}

/// How our base URL is made of a channel's.
#[derive(Clone, Copy)]
enum Place {
    /// This stands behind it there before an operation's path.
    Behind(&'static str),
    /// It is that of chat completions.
    WholeUrl,
    /// It names no account there; ours does.
    Cloudflare,
    /// Models are deployments, which may not be called as the models are.
    Azure,
}

use Place::{Azure, Behind, Cloudflare, WholeUrl};

const fn kind(one_api: &'static [i64], new_api: &'static [i64], provider: &'static str, place: Place) -> Kind {
    Kind { one_api, new_api, provider, place, default: None }
}

const fn elsewhere(kind: Kind, default: &'static str) -> Kind {
    Kind { default: Some(default), ..kind }
}

#[rustfmt::skip]
pub(super) static KINDS: &[Kind] = &[
    kind(&[1], &[1], "openai", Behind("/v1")),
    kind(&[3], &[3], "azure-openai", Azure),
    kind(&[14], &[14], "anthropic", Behind("")),
    kind(&[24], &[24], "gemini", Behind("")),
    kind(&[51], &[], "gemini-openai", Behind("")),
    kind(&[16], &[16, 26], "zhipu", Behind("/api/paas/v4")),
    kind(&[17, 49], &[17], "qwen", Behind("/compatible-mode/v1")),
    kind(&[20], &[20], "openrouter", Behind("/v1")),
    elsewhere(kind(&[25], &[25], "moonshot", Behind("/v1")), "https://api.moonshot.cn/v1"),
    kind(&[28], &[42], "mistral", Behind("/v1")),
    kind(&[29], &[], "groq", Behind("/v1")),
    kind(&[30], &[4], "ollama", Behind("/v1")),
    kind(&[35], &[34], "cohere", Behind("/compatibility/v1")),
    kind(&[36], &[43], "deepseek", Behind("/v1")),
    kind(&[39], &[], "together", Behind("/v1")),
    kind(&[44], &[40], "siliconflow", Behind("/v1")),
    kind(&[45], &[48], "xai", Behind("/v1")),
    kind(&[], &[27], "perplexity", Behind("")),
    elsewhere(kind(&[27], &[35], "minimax", Behind("/v1")), "https://api.minimaxi.com/v1"),
    kind(&[40], &[45], "volcengine", Behind("/api/v3")),
    kind(&[47], &[46], "qianfan", Behind("/v2")),
    kind(&[48], &[], "spark", Behind("/v1")),
    kind(&[26], &[], "baichuan", Behind("/v1")),
    elsewhere(kind(&[32], &[], "stepfun", Behind("/v1")), "https://api.stepfun.com/v1"),
    kind(&[41], &[], "novita", Behind("")),
    kind(&[37], &[39], "cloudflare", Cloudflare),
    kind(&[], &[38], "jina", Behind("/v1")),
    kind(&[], &[47], "xinference", Behind("/v1")),
    // They speak OpenAI's dialect, at the base URL that the channel has.
    elsewhere(kind(&[19], &[], "openai-compatible", Behind("/v1")), "https://ai.360.cn/v1"),
    elsewhere(kind(&[], &[19], "openai-compatible", Behind("/v1")), "https://api.360.cn/v1"),
    elsewhere(kind(&[31], &[31], "openai-compatible", Behind("/v1")), "https://api.lingyiwanwu.com/v1"),
    elsewhere(kind(&[], &[53], "openai-compatible", Behind("/v1")), "https://llm.submodel.ai/v1"),
    kind(&[2, 4, 5, 6, 7, 8, 9, 10, 12, 13, 22], &[6, 7, 9, 10, 12, 13, 22], "openai-compatible", Behind("/v1")),
    kind(&[50], &[], "openai-compatible", Behind("")),
    kind(&[], &[8], "openai-compatible", WholeUrl),
];

/// Words that new-api takes in place of a base URL.
const PLANS: [(&str, &str); 4] = [
    ("glm-coding-plan", "https://open.bigmodel.cn/api/coding/paas/v4"),
    ("glm-coding-plan-international", "https://api.z.ai/api/coding/paas/v4"),
    ("kimi-coding-plan", "https://api.kimi.com/coding/v1"),
    ("doubao-coding-plan", "https://ark.cn-beijing.volces.com/api/coding/v3"),
];
/// Cloudflare's AI Gateway, behind whose URLs both leave OpenAI's `/v1` out.
const AI_GATEWAY: &str = "https://gateway.ai.cloudflare.com/";
const CLOUDFLARE: &str = "https://api.cloudflare.com";
const CHAT_COMPLETIONS: &str = "/chat/completions";
/// Channels for Azure that are older, in seconds, call deployments by their models' names without dots (new-api,
/// `AzureNoRemoveDotTime`: 2025-05-10); in One API, all do.
const DOTS_SINCE_S: i64 = 1_746_835_200;

impl Kind {
    /// The one that has this number.
    pub(super) fn of(flavour: Flavour, number: i64) -> Option<&'static Self> {
        let numbers = |kind: &Self| match flavour {
            Flavour::OneApi => kind.one_api,
            Flavour::NewApi => kind.new_api,
        };
        KINDS.iter().find(|kind| numbers(kind).contains(&number))
    }

    /// The base URL of a channel of this kind; none: our provider's own.
    ///
    /// # Errors
    /// A sentence: it cannot be said.
    pub(super) fn base_url(&self, row: &Row) -> Result<Option<String>, String> {
        let given = text(row, "base_url")?.trim_end_matches('/');
        if let Some((_, url)) = PLANS.iter().find(|(word, _)| *word == given) {
            return Ok(Some((*url).to_owned()));
        }
        match self.place {
            Cloudflare => cloudflare(row, given).map(Some),
            _ if given.is_empty() => Ok(self.default.map(str::to_owned)),
            WholeUrl if given.contains('{') => Err("its base URL has the model in it: set it by hand".into()),
            WholeUrl => {
                let url = given.strip_suffix(CHAT_COMPLETIONS);
                url.map(|url| Some(url.to_owned()))
                    .ok_or_else(|| format!("its base URL is not that of `{CHAT_COMPLETIONS}`: set it by hand"))
            }
            Azure if given.starts_with(AI_GATEWAY) => Err("it goes by Cloudflare's AI Gateway: set it by hand".into()),
            Azure => Ok(Some(with_path(given, "/openai/v1"))),
            Behind(_) if self.provider == "openai" && given.starts_with(AI_GATEWAY) => Ok(Some(given.to_owned())),
            Behind(path) => Ok(Some(with_path(given, path))),
        }
    }

    /// What a model is called upstream.
    ///
    /// # Errors
    /// The channel's age cannot be read.
    pub(super) fn upstream_model(&self, flavour: Flavour, row: &Row, model: &str) -> Result<String, String> {
        let keeps_dots = match (self.place, flavour) {
            (Azure, Flavour::OneApi) => false,
            (Azure, Flavour::NewApi) => number(row, "created_time")?.unwrap_or(0) >= DOTS_SINCE_S,
            _ => true,
        };
        Ok(if keeps_dots { model.to_owned() } else { model.replace('.', "") })
    }
}

/// A path behind a URL, unless it is there.
fn with_path(url: &str, path: &str) -> String {
    if url.ends_with(path) { url.to_owned() } else { format!("{url}{path}") }
}

/// Workers AI: new-api has the account in a column of its own, One API among others in JSON.
fn cloudflare(row: &Row, given: &str) -> Result<String, String> {
    if given.starts_with(AI_GATEWAY) {
        return Ok(with_path(given, "/v1"));
    }
    let in_json: HashMap<String, Value> = serde_json::from_str(text(row, "config")?).unwrap_or_default();
    let account = match text(row, "other")? {
        "" => in_json.get("user_id").and_then(Value::as_str).unwrap_or(""),
        account => account,
    };
    if account.is_empty() || !account.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err("it names no account: set it by hand".into());
    }
    let host = if given.is_empty() { CLOUDFLARE } else { given };
    Ok(format!("{host}/client/v4/accounts/{account}/ai/v1"))
}
