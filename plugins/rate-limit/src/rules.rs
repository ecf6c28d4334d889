//! `[plugins.rate-limit]`: which limits there are.

use serde::Deserialize;
use std::sync::Arc;
use tollgate_plugin_api::{Amounts, Key};

/// The window of a key's own limits, and of rules that do not say theirs.
pub(crate) const MINUTE_MS: u64 = 60_000;
/// The shortest and the longest window: a second, 31 days.
const WINDOW_MS: std::ops::RangeInclusive<u64> = 1_000..=31 * 24 * 3_600_000;
/// Rules of one configuration.
const RULES_MAX: usize = 64;
const NANOS_A_USD: u64 = 1_000_000_000;
const USD_DECIMALS: usize = 9;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Requests.
    Requests,
    /// Tokens, prompt and answer.
    Tokens,
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
    /// Requests at once.
    Concurrency,
    /// Cost, in nano-USD.
    SpendUsd,
}

impl Unit {
    /// How much of it a request is.
    pub(crate) fn of(self, amounts: &Amounts) -> u64 {
        match self {
            Self::Requests => amounts.requests,
            Self::Tokens => amounts.input_tokens.saturating_add(amounts.output_tokens),
            Self::InputTokens => amounts.input_tokens,
            Self::OutputTokens => amounts.output_tokens,
            Self::Concurrency => 0,
            Self::SpendUsd => amounts.cost_nanos,
        }
    }

    /// How a refusal names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::Concurrency => "requests at once",
            Self::SpendUsd => "spend",
        }
    }
}

/// Whose consumption is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Per {
    /// Each key's own.
    Key,
    /// Each user's, over all of their keys.
    User,
    /// Each upstream's, over all keys.
    Upstream,
}

impl Per {
    /// How a refusal names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Upstream => "upstream",
        }
    }
}

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) unit: Unit,
    pub(crate) max: u64,
    /// Of no meaning for [`Unit::Concurrency`].
    pub(crate) window_ms: u64,
}

/// A limit of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) per: Per,
    pub(crate) limit: Limit,
    /// Whom it concerns; empty: all.
    names: Vec<String>,
}

impl Rule {
    pub(crate) fn concerns(&self, per: Per, name: &str) -> bool {
        self.per == per && (self.names.is_empty() || self.names.iter().any(|own| own == name))
    }
}

/// A key's own limits: at most three.
pub(crate) fn own_limits(key: &Key) -> impl Iterator<Item = Limit> + Clone {
    let limit = |unit, max: Option<u64>| max.map(|max| Limit { unit, max, window_ms: MINUTE_MS });
    [limit(Unit::Requests, key.rpm), limit(Unit::Tokens, key.tpm), limit(Unit::Concurrency, key.concurrency)]
        .into_iter()
        .flatten()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    rules: Vec<RuleSettings>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleSettings {
    per: Per,
    limit: Unit,
    max: toml::Value,
    window_ms: Option<u64>,
    #[serde(default)]
    names: Vec<String>,
}

/// Reads the plugin's table.
pub(crate) fn read(table: toml::Table) -> Result<Arc<[Rule]>, String> {
    let settings: Settings = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    if settings.rules.len() > RULES_MAX {
        return Err(format!("rules: {} of them, expected at most {RULES_MAX}", settings.rules.len()));
    }
    let rules = settings.rules.into_iter().enumerate();
    rules.map(|(index, rule)| checked(rule).map_err(|error| format!("rules[{index}].{error}"))).collect()
}

fn checked(rule: RuleSettings) -> Result<Rule, String> {
    let max = match rule.limit {
        Unit::SpendUsd => rule.max.as_str().and_then(nanos).or_else(|| {
            let whole = rule.max.as_integer().and_then(|usd| u64::try_from(usd).ok());
            whole.and_then(|usd| usd.checked_mul(NANOS_A_USD))
        }),
        _ => rule.max.as_integer().and_then(|max| u64::try_from(max).ok()),
    };
    let max = max.ok_or_else(|| match rule.limit {
        Unit::SpendUsd => format!("max: {}, expected USD as 5 or \"2.50\", with at most nine decimals", rule.max),
        _ => format!("max: {}, expected a whole number, 0 or more", rule.max),
    })?;
    if rule.limit == Unit::Concurrency && rule.window_ms.is_some() {
        return Err("window_ms: requests at once have no window, expected none".to_owned());
    }
    let window_ms = rule.window_ms.unwrap_or(MINUTE_MS);
    if !WINDOW_MS.contains(&window_ms) {
        return Err(format!("window_ms: {window_ms}, expected {} to {}", WINDOW_MS.start(), WINDOW_MS.end()));
    }
    Ok(Rule { per: rule.per, limit: Limit { unit: rule.limit, max, window_ms }, names: rule.names })
}

/// An amount of USD, exactly, in nano-USD.
fn nanos(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > USD_DECIMALS {
        return None;
    }
    let decimals: u64 = format!("{decimals:0<USD_DECIMALS$}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(NANOS_A_USD)?.checked_add(decimals)
}
