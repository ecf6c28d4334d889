//! A price in full: all that its rows say, for whoever wants to see it.

use super::cost::{PRICE_DECIMALS, Price, SERVICE_TIERS, Tariff};
use super::decimal;
use super::pieces::per_piece;
use super::sheet::{CLASSES, Change, Class, MULTIPLIER_DECIMALS, Rates, Sheet};
use super::window::{DAYS, Window};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// USD per million tokens by class: exact decimals.
pub type ClassPrices = BTreeMap<&'static str, String>;

/// The classes' keys, in the order in which they are shown; the prompt's first.
pub const CLASS_KEYS: [&str; CLASSES] = {
    let mut keys = [""; CLASSES];
    let mut at = 0;
    while at < CLASSES {
        keys[at] = Class::ALL[at].key();
        at += 1;
    }
    keys
};

/// What is valid from some time on. Every amount is USD, as an exact decimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PriceOfTime)]
pub struct Version {
    /// RFC 3339; `None`: from the beginning.
    pub valid_from: Option<String>,
    /// Whether it is what applies now.
    pub in_force: bool,
    /// What the row is written in; `None`: USD.
    pub currency: Option<String>,
    /// What one unit of that is.
    pub usd_per_unit: Option<String>,
    /// Token prices.
    #[serde(flatten)]
    pub tokens: TokenPrices,
    /// USD for each request.
    pub usd_per_request: String,
    /// USD for a thousand searches that the provider ran.
    pub usd_per_thousand_web_searches: String,
    /// USD for each time that the answer says that the provider did this: runs of its tools, and what is billed in place of a request.
    /// And for each image that was made, each character that is spoken, and an hour of audio (`image`, `character`, `audio_hour`).
    pub usd_per_time: BTreeMap<String, String>,
    /// The least of audio that a request is charged for; `None`: none.
    pub audio_seconds_min: Option<u64>,
    /// What answers in other service tiers cost: `batch`, `flex`, `priority`, `ultrafast`.
    pub service_tiers: BTreeMap<&'static str, Changed>,
    /// What every token price is multiplied by where the model has to run in that place.
    pub inference_geo: BTreeMap<String, String>,
    /// What changes at some times of the day; the first one that contains the request's begin applies.
    pub windows: Vec<WindowPrices>,
}

/// Token prices by prompt length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenPrices {
    /// Those of a prompt of ordinary length.
    pub usd_per_million: ClassPrices,
    /// Those of longer ones.
    pub tiers: Vec<TierPrices>,
}

/// Token prices of prompts above a length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TierPrices {
    /// That length.
    pub above_prompt_tokens: u64,
    /// All prices above it.
    pub usd_per_million: ClassPrices,
}

/// What a service tier or a window does to token prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Changed {
    /// Each of them times this.
    Multiplied {
        /// A decimal number.
        multiplier: String,
    },
    /// Other ones.
    Repriced(TokenPrices),
}

/// A part of the day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WindowPrices {
    /// `mon`, `tue` …
    pub days: Vec<&'static str>,
    /// `HH:MM:SS`, the first second that is in.
    pub from: String,
    /// The first one that is out again.
    pub to: String,
    /// Whose clock: an IANA name.
    pub time_zone: String,
    /// Whether it applies now.
    pub in_force: bool,
    /// What it does.
    #[serde(flatten)]
    pub change: Changed,
}

impl Price {
    /// All that its rows say, the earliest first. Of no upstream: a multiplier is not in it.
    pub fn versions(&self, now_ms: i64) -> Vec<Version> {
        let current = self.tariff_at(now_ms);
        self.tariffs().map(|tariff| version(tariff, std::ptr::eq(tariff, current), now_ms)).collect()
    }
}

/// What else a price has prices for than tokens of plain requests, in words: its versions tell them.
pub fn further(versions: &[Version]) -> Vec<&'static str> {
    let Some(version) = versions.iter().find(|version| version.in_force) else { return Vec::new() };
    let rates = &version.tokens.usd_per_million;
    let differs = |class: &str, from: &str| rates.get(class) != rates.get(from);
    let words = [
        (differs("cache_write", "input"), "cache writes"),
        (differs("reasoning", "output"), "reasoning"),
        (differs("input_audio", "input") || differs("output_audio", "output"), "audio"),
        (differs("input_image", "input") || differs("output_image", "output"), "images"),
        (!version.tokens.tiers.is_empty(), "long prompts"),
        (version.usd_per_request != "0", "requests"),
        (version.usd_per_thousand_web_searches != "0", "web searches"),
        (version.usd_per_time.keys().any(|fee| per_piece(fee).is_none()), "what tools do"),
        (version.usd_per_time.keys().any(|fee| per_piece(fee).is_some()), "pieces"),
        (!version.windows.is_empty(), "hours"),
        (!version.inference_geo.is_empty(), "places"),
        (versions.len() > 1, "other dates"),
    ];
    let words = words.into_iter().filter_map(|(is_there, word)| is_there.then_some(word));
    words.chain(version.service_tiers.keys().copied()).collect()
}

impl TokenPrices {
    fn of(sheet: &Sheet) -> Self {
        let (base, longer) = sheet.steps().split_first().expect("a sheet has a step for all lengths");
        let tier = |step: &super::sheet::Step| TierPrices {
            above_prompt_tokens: step.above_tokens,
            usd_per_million: by_class(&step.rates),
        };
        Self { usd_per_million: by_class(&base.rates), tiers: longer.iter().map(tier).collect() }
    }
}

fn by_class(rates: &Rates) -> ClassPrices {
    Class::ALL.iter().map(|class| (class.key(), usd(rates[*class as usize]))).collect()
}

fn usd(nanos: u64) -> String {
    decimal::format(nanos.into(), PRICE_DECIMALS)
}

fn version(tariff: &Tariff, in_force: bool, now_ms: i64) -> Version {
    let currency = tariff.currency.as_deref();
    let service_tiers = SERVICE_TIERS.iter().zip(&tariff.service_tiers);
    let applies = tariff.windows.iter().position(|window| in_force && window.contains(now_ms));
    let windows = tariff.windows.iter().enumerate();
    let places = tariff.places.iter();
    let places = places.map(|place| (place.name.to_string(), multiplier_text(place.multiplier)));
    Version {
        valid_from: tariff.valid_from_ms.map(rfc3339),
        in_force,
        currency: currency.map(|currency| currency.code.to_string()),
        usd_per_unit: currency.map(super::currency::Currency::usd_per_unit),
        tokens: TokenPrices::of(&tariff.standard),
        usd_per_request: usd(tariff.per_request),
        usd_per_thousand_web_searches: usd(tariff.web_search_per_thousand),
        usd_per_time: tariff.fees.iter().map(|fee| (fee.kind.to_string(), usd(fee.nanos))).collect(),
        audio_seconds_min: Some(tariff.audio_seconds_min).filter(|seconds| *seconds > 0),
        service_tiers: service_tiers.filter_map(|((key, _), change)| Some((*key, changed(change.as_ref()?)))).collect(),
        inference_geo: places.collect(),
        windows: windows.map(|(index, window)| window_prices(window, applies == Some(index))).collect(),
    }
}

fn rfc3339(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map(|time| time.to_string()).unwrap_or_default()
}

fn multiplier_text(multiplier: u64) -> String {
    decimal::format(multiplier.into(), MULTIPLIER_DECIMALS)
}

fn changed(change: &Change) -> Changed {
    match change {
        Change::Multiply(multiplier) => Changed::Multiplied { multiplier: multiplier_text(*multiplier) },
        Change::Reprice(sheet) => Changed::Repriced(TokenPrices::of(sheet)),
    }
}

fn window_prices(window: &Window, in_force: bool) -> WindowPrices {
    WindowPrices {
        days: window.days(),
        from: clock(window.from_second),
        to: clock(window.to_second),
        time_zone: window.zone.iana_name().unwrap_or("UTC").to_owned(),
        in_force,
        change: changed(&window.change),
    }
}

/// A second of the day on the wall's clock.
pub(super) fn clock(second: u32) -> String {
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

impl Window {
    /// The days on which it begins.
    pub(super) fn days(&self) -> Vec<&'static str> {
        (0..7).filter(|day| self.days & (1 << day) != 0).map(|day| DAYS[day]).collect()
    }
}
