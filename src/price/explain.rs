//! The arithmetic of a cost, line by line.

use std::fmt;
use std::sync::Arc;

use tollgate_plugin_api::{Metered, ServiceTier};

use super::book::{Entry, PriceBook};
use super::cost::{GRAINS_PER_DECIMAL, GRAINS_PER_NANO, Item, PRICE_DECIMALS, Part, Price, Terms, nanos};
use super::currency::Currency;
use super::decimal;
use super::full::clock;
use super::sheet::{Change, Class, MULTIPLIER_DECIMALS, MULTIPLIER_ONE, Rates};

/// Decimals of an amount as USD: nine grains times a multiplier.
const AMOUNT_DECIMALS: u32 = 27;
/// Amounts of a line in a nano-USD.
const AMOUNTS_PER_NANO: u128 = GRAINS_PER_NANO / GRAINS_PER_DECIMAL * MULTIPLIER_ONE as u128;

/// One line of a bill: what, how, and the amount, which is exact but for milliseconds of audio, whose price may have no end in
/// decimals. The amounts of all lines sum up to the cost, the last line being what rounding up adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainLine {
    /// What it is for: `input`, `cached_input`, `web_searches`, `file_search` …; `price` for a line that only says which price applies.
    pub what: String,
    /// The factors: `1000 tokens x 2.5 USD/M`.
    pub how: String,
    /// The product in units of 10⁻²⁷ USD.
    pub amount: i128,
}

impl ExplainLine {
    /// The amount in USD, exactly; empty for a line without one.
    pub fn usd(&self) -> String {
        if self.what == WHICH {
            return String::new();
        }
        let sign = if self.amount < 0 { "-" } else { "" };
        format!("{sign}{}", decimal::format(self.amount.unsigned_abs(), AMOUNT_DECIMALS))
    }
}

impl fmt::Display for ExplainLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what == WHICH {
            true => write!(f, "{}: {}", self.what, self.how),
            false => write!(f, "{}: {} = {} USD", self.what, self.how, self.usd()),
        }
    }
}

const WHICH: &str = "price";

impl PriceBook {
    /// The arithmetic behind [`cost`](Self::cost) of the same arguments. Parts without a price are not in it.
    pub fn explain(&self, price: Option<&Price>, metered: &Metered, at_unix_ms: i64) -> Vec<ExplainLine> {
        let mut lines = Vec::new();
        // As `cost` adds up, and as the lines show it; the latter is at its limit earlier, far above any amount.
        let (mut grains, mut shown) = (0_u128, 0_i128);
        let mut written = Written::default();
        self.charge(price, metered, at_unix_ms, |entry| match entry {
            Entry::Terms(price, terms, prompt_tokens) => {
                written = Written::of(terms, prompt_tokens);
                lines.push(ExplainLine { what: WHICH.into(), how: which(price, terms, metered.tier), amount: 0 });
            }
            Entry::Part(kind, part) => {
                grains = grains.saturating_add(part.grains());
                let sum = amount(grains, MULTIPLIER_ONE);
                lines.push(ExplainLine {
                    what: kind.unwrap_or_else(|| what(&part)).into(),
                    how: how(&part, &written),
                    amount: sum - shown,
                });
                shown = sum;
            }
        });
        let multiplier = price.map_or(MULTIPLIER_ONE, |price| price.multiplier);
        if multiplier != MULTIPLIER_ONE {
            let how = format!("the sum x {}", decimal::format(multiplier.into(), MULTIPLIER_DECIMALS));
            let sum = amount(grains, multiplier);
            lines.push(ExplainLine { what: "price_multiplier".into(), how, amount: sum - shown });
            shown = sum;
        }
        let cost = u128::try_from(nanos(grains, multiplier)).unwrap_or(0) * AMOUNTS_PER_NANO;
        let rounding = i128::try_from(cost).unwrap_or(i128::MAX) - shown;
        if rounding != 0 {
            let how = if rounding > 0 { "up to a nano-USD" } else { "down to the largest amount there is" };
            lines.push(ExplainLine { what: "rounding".into(), how: how.into(), amount: rounding });
        }
        lines
    }
}

/// A sum as lines show it.
fn amount(grains: u128, multiplier: u64) -> i128 {
    i128::try_from(grains.saturating_mul(multiplier.into()) / GRAINS_PER_DECIMAL).unwrap_or(i128::MAX)
}

/// Prices as they are written in another currency, which are empty where that is USD; and what else of the row a line shows.
#[derive(Default)]
struct Written {
    currency: Option<Arc<Currency>>,
    rates: Option<Rates>,
    /// The least of audio that is charged, in milliseconds.
    audio_ms_least: u64,
}

impl Written {
    fn of(terms: &Terms<'_>, prompt_tokens: u64) -> Self {
        let currency = terms.tariff.currency.clone();
        let audio_ms_least = terms.tariff.audio_ms_charged(1);
        Self { currency, rates: terms.sheet.written(prompt_tokens).copied(), audio_ms_least }
    }

    /// `2.4 CNY x 0.1389`
    fn of_class(&self, class: Class) -> Option<String> {
        let (currency, rates) = (self.currency.as_deref()?, self.rates.as_ref()?);
        Some(format!("{} x {}", currency.written(rates[class as usize]), currency.usd_per_unit()))
    }
}

fn what(part: &Part) -> &'static str {
    match part.item {
        Item::Tokens(class) => class.key(),
        Item::WebSearches => "web_searches",
        Item::Request => "per_request",
        Item::Fee | Item::Images | Item::AudioMs | Item::Characters => "fee",
    }
}

/// ` x 1.1`
fn times(multiplier: u64) -> String {
    format!(" x {}", decimal::format(multiplier.into(), MULTIPLIER_DECIMALS))
}

fn how(part: &Part, written: &Written) -> String {
    let (unit, per) = match part.item {
        Item::Tokens(_) => ("tokens", "USD/M"),
        Item::WebSearches => ("searches", "USD/thousand"),
        Item::Request if part.count == 1 => ("request", "USD"),
        Item::Request => ("requests", "USD"),
        Item::Fee if part.count == 1 => ("time", "USD"),
        Item::Fee => ("times", "USD"),
        Item::Images if part.count == 1 => ("image", "USD"),
        Item::Images => ("images", "USD"),
        Item::AudioMs if part.count > 1 && part.count == written.audio_ms_least => {
            ("ms (the least that is charged)", "USD/hour")
        }
        Item::AudioMs => ("ms", "USD/hour"),
        Item::Characters if part.count == 1 => ("character", "USD"),
        Item::Characters => ("characters", "USD"),
    };
    let mut how = format!("{} {unit} x {} {per}", part.count, decimal::format(part.charged_rate(), PRICE_DECIMALS));
    let in_place = Some(part.place_multiplier).filter(|multiplier| *multiplier != MULTIPLIER_ONE);
    let converted = match part.item {
        Item::Tokens(class) => written.of_class(class),
        _ => None,
    };
    if in_place.is_some() || converted.is_some() {
        let price = converted.unwrap_or_else(|| decimal::format(part.rate.into(), PRICE_DECIMALS));
        how.push_str(&format!(" ({price}{})", in_place.map(times).unwrap_or_default()));
    }
    how.extend(part.multipliers.into_iter().filter(|multiplier| *multiplier != MULTIPLIER_ONE).map(times));
    how
}

/// Which of its prices apply: everything but the plainest case is said.
fn which(price: &Price, terms: &Terms<'_>, tier: ServiceTier) -> String {
    let mut text = price.model.to_string();
    if let Some(provider) = &price.provider {
        text.push_str(&format!(" at {provider}"));
    }
    if let Some(currency) = &terms.tariff.currency {
        text.push_str(&format!(", in {} at {} USD", currency.code, currency.usd_per_unit()));
    }
    if let Some(from_ms) = terms.tariff.valid_from_ms {
        let from = jiff::Timestamp::from_millisecond(from_ms).map(|from| from.to_string());
        text.push_str(&format!(", valid from {}", from.unwrap_or_default()));
    }
    if let Some(window) = terms.window {
        let zone = window.zone.iana_name().unwrap_or("UTC");
        let (from, to) = (clock(window.from_second), clock(window.to_second));
        text.push_str(&format!(", in the window {} {from}-{to} {zone}", window.days().join(" ")));
    }
    if terms.lacks_tier {
        let instead = if terms.service.is_some() { ServiceTier::Priority } else { ServiceTier::Standard };
        text.push_str(&format!(", without a price for {}: as for {}", tier.as_str(), instead.as_str()));
    } else if let Some(change) = terms.service {
        let name = super::cost::SERVICE_TIERS.iter().find(|(_, service)| *service == tier).map_or("", |(name, _)| name);
        text.push_str(match change {
            Change::Multiply(_) => ", multiplied for ",
            Change::Reprice(_) => ", prices for ",
        });
        text.push_str(name);
    }
    if let Some(place) = terms.place {
        text.push_str(&format!(", multiplied for inference in {}", place.name));
    }
    text
}
