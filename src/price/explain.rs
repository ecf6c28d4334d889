//! The arithmetic of a cost, line by line.

use std::fmt;

use tollgate_plugin_api::{Metered, ServiceTier};

use super::book::{Entry, PriceBook};
use super::cost::{GRAINS_PER_NANO, Item, PRICE_DECIMALS, Part, Price, Terms, nanos};
use super::decimal;
use super::sheet::{Change, MULTIPLIER_DECIMALS, MULTIPLIER_ONE};
use super::window::DAYS;

/// Decimals of an amount in grains as USD.
const GRAIN_DECIMALS: u32 = 23;

/// One line of a bill: what, how, and the exact amount. The amounts of all lines sum up to the cost, the last line being
/// what rounding up adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainLine {
    /// What it is for: `input`, `cached_input`, `web_searches` …; `price` for a line that only says which price applies.
    pub what: String,
    /// The factors: `1000 tokens x 2.5 USD/M`.
    pub how: String,
    /// The product in units of 10⁻²³ USD.
    pub grains: i128,
}

impl ExplainLine {
    /// The amount in USD, exactly; empty for a line without one.
    pub fn usd(&self) -> String {
        if self.what == WHICH {
            return String::new();
        }
        let sign = if self.grains < 0 { "-" } else { "" };
        format!("{sign}{}", decimal::format(self.grains.unsigned_abs(), GRAIN_DECIMALS))
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
        let mut sum = 0_u128;
        self.charge(price, metered, at_unix_ms, |entry| match entry {
            Entry::Terms(price, terms) => {
                lines.push(ExplainLine { what: WHICH.into(), how: which(price, terms, metered.tier), grains: 0 });
            }
            Entry::Part(part) => {
                // What the sum really grows by: it may be at its limit.
                let before = sum;
                sum = sum.saturating_add(part.grains()).min(i128::MAX.unsigned_abs());
                lines.push(line(&part, signed(sum - before)));
            }
        });
        let cost = u128::try_from(nanos(sum)).unwrap_or(0) * GRAINS_PER_NANO;
        let rounding = signed(cost) - signed(sum);
        if rounding != 0 {
            let how = if rounding > 0 { "up to a nano-USD" } else { "down to the largest amount there is" };
            lines.push(ExplainLine { what: "rounding".into(), how: how.into(), grains: rounding });
        }
        lines
    }
}

fn signed(grains: u128) -> i128 {
    i128::try_from(grains).unwrap_or(i128::MAX)
}

fn line(part: &Part, grains: i128) -> ExplainLine {
    let rate = decimal::format(part.rate.into(), PRICE_DECIMALS);
    let (what, unit, per) = match part.item {
        Item::Tokens(class) => (class.key(), "tokens", "USD/M"),
        Item::WebSearches => ("web_searches", "searches", "USD/thousand"),
        Item::Request => ("per_request", "request", "USD"),
    };
    let mut how = format!("{} {unit} x {rate} {per}", part.count);
    for multiplier in part.multipliers.into_iter().filter(|multiplier| *multiplier != MULTIPLIER_ONE) {
        how.push_str(&format!(" x {}", decimal::format(multiplier.into(), MULTIPLIER_DECIMALS)));
    }
    ExplainLine { what: what.into(), how, grains }
}

/// Which of its prices apply: everything but the plainest case is said.
fn which(price: &Price, terms: &Terms<'_>, tier: ServiceTier) -> String {
    let mut text = price.model.to_string();
    if let Some(provider) = &price.provider {
        text.push_str(&format!(" at {provider}"));
    }
    if let Some(from_ms) = terms.tariff.valid_from_ms {
        let from = jiff::Timestamp::from_millisecond(from_ms).map(|from| from.to_string());
        text.push_str(&format!(", valid from {}", from.unwrap_or_default()));
    }
    if let Some(window) = terms.window {
        let days: Vec<&str> = (0..7).filter(|day| window.days & (1 << day) != 0).map(|day| DAYS[day]).collect();
        let clock = |second: u32| format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
        let zone = window.zone.iana_name().unwrap_or("UTC");
        let (from, to) = (clock(window.from_second), clock(window.to_second));
        text.push_str(&format!(", in the window {} {from}-{to} {zone}", days.join(" ")));
    }
    if let Some(change) = terms.service {
        let name = super::cost::SERVICE_TIERS.iter().find(|(_, service)| *service == tier).map_or("", |(name, _)| name);
        text.push_str(match change {
            Change::Multiply(_) => ", multiplied for ",
            Change::Reprice(_) => ", prices for ",
        });
        text.push_str(name);
    }
    text
}
