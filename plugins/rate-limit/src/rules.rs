//! `[plugins.rate-limit]`: which limits there are.

use std::collections::BTreeSet;
use std::sync::Arc;
use tollgate_plugin_api::{Amounts, Key, Mistakes, Settings, answer_fields, did_you_mean, one_of};
use toml::Value;

/// The window of a key's own limits, and of rules that do not say theirs.
pub(crate) const MINUTE_MS: u64 = 60_000;
/// The shortest and the longest window: a second, 31 days.
const WINDOW_MS: std::ops::RangeInclusive<u64> = 1_000..=31 * 24 * 3_600_000;
/// Rules of one configuration.
pub(crate) const RULES_MAX: usize = 64;
const NANOS_A_USD: u64 = 1_000_000_000;
const USD_DECIMALS: usize = 9;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// The end of the names of the fields by which a refusal tells it; none: every answer tells it, as OpenAI's do.
    pub(crate) fn field(self) -> Option<&'static str> {
        match self {
            Self::Concurrency => Some(answer_fields::CONCURRENCY),
            Self::SpendUsd => Some(answer_fields::SPEND_USD),
            Self::Requests | Self::Tokens | Self::InputTokens | Self::OutputTokens => None,
        }
    }

    /// So much of it, as it is told.
    pub(crate) fn told(self, amount: u64) -> String {
        match self {
            Self::SpendUsd => format!("{}.{:09}", amount / NANOS_A_USD, amount % NANOS_A_USD),
            _ => amount.to_string(),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// `[plugins.rate-limit]`
const KEYS: &[&str] = &["rules"];
/// `[[plugins.rate-limit.rules]]`
const RULE_KEYS: &[&str] = &["per", "limit", "max", "window_ms", "names"];
/// What stands at `names`.
const NAMES: &str = "names, as in `[\"ann\"]`";
const PER: [(&str, Per); 3] = [("key", Per::Key), ("user", Per::User), ("upstream", Per::Upstream)];
const UNITS: [(&str, Unit); 6] = [
    ("requests", Unit::Requests),
    ("tokens", Unit::Tokens),
    ("input_tokens", Unit::InputTokens),
    ("output_tokens", Unit::OutputTokens),
    ("concurrency", Unit::Concurrency),
    ("spend_usd", Unit::SpendUsd),
];

/// Names of upstreams that a mistake lists.
const UPSTREAMS_NAMED_MAX: usize = 12;

/// Reads the plugin's table. `upstreams`: those that there are, if that is known.
pub(crate) fn read(table: &toml::Table, upstreams: Option<&BTreeSet<String>>) -> Result<Arc<[Rule]>, Mistakes> {
    let mistakes = Mistakes::default();
    let settings = Settings::open(table, KEYS, &mistakes);
    let rules: Arc<[Rule]> = match settings.tables("rules", RULE_KEYS) {
        tables if tables.len() > RULES_MAX => {
            settings.wrong("rules", format!("{} of them, expected at most {RULES_MAX}", tables.len()));
            Arc::new([])
        }
        tables => tables.iter().filter_map(|table| rule(table, upstreams)).collect(),
    };
    mistakes.into_result()?;
    Ok(rules)
}

/// None: something is wrong with it, and noted.
fn rule(settings: &Settings<'_>, upstreams: Option<&BTreeSet<String>>) -> Option<Rule> {
    settings.must_have("per", "`key`, `user` or `upstream`");
    settings.must_have("limit", "what is counted, as `requests`");
    settings.must_have("max", "the most of it");
    let per = settings.choice("per", &PER);
    let unit = settings.choice("limit", &UNITS);
    let max = unit.and_then(|unit| max(settings, unit));
    if unit == Some(Unit::Concurrency) && settings.get("window_ms").is_some() {
        settings.wrong("window_ms", "requests at once have no window, expected none");
    }
    let window_ms = settings.number("window_ms", " of milliseconds", WINDOW_MS, MINUTE_MS);
    // Keys and users come and go; an upstream that is not there is a mistake, and a limit that limits nothing.
    let known = upstreams.filter(|_| per == Some(Per::Upstream));
    let names = settings.texts("names", NAMES, |name| match known {
        Some(known) if !known.contains(name) => Err(no_such_upstream(name, known)),
        _ => Ok(name.to_owned()),
    });
    if settings.get("names").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        settings.wrong("names", format!("is empty, expected {NAMES}, or no `names` where the rule is for all"));
    }
    Some(Rule { per: per?, limit: Limit { unit: unit?, max: max?, window_ms }, names })
}

fn no_such_upstream(name: &str, known: &BTreeSet<String>) -> String {
    let known = || known.iter().map(String::as_str);
    let expected = match known().next() {
        None => "there is none".to_owned(),
        Some(_) => format!("expected a name of one, as {}", one_of(known().take(UPSTREAMS_NAMED_MAX))),
    };
    format!("no upstream has this name, {expected}{}", did_you_mean(name, known()))
}

fn max(settings: &Settings<'_>, unit: Unit) -> Option<u64> {
    let value = settings.get("max")?;
    let whole = || value.as_integer().and_then(|max| u64::try_from(max).ok());
    let (max, expected) = match unit {
        Unit::SpendUsd => {
            let usd = match value {
                Value::String(text) => nanos(text),
                _ => whole().and_then(|usd| usd.checked_mul(NANOS_A_USD)),
            };
            (usd, "expected USD as 5 or \"2.50\", with at most nine decimals")
        }
        _ => (whole(), "expected a whole number, 0 or more"),
    };
    if max.is_none() {
        settings.wrong("max", expected);
    }
    max
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
