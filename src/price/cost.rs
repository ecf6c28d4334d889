//! One model's price: what an answer costs, and what it can cost at worst.
//!
//! Every product of a count, a price (in a place, if a model had to run there) and two multipliers is a whole number of *grains* (a
//! ninth of 10⁻²³ USD: milliseconds at a price by the hour come out even, too), so that a cost is one exact sum; an upstream's
//! multiplier applies to that sum, and then it is rounded once. Sums saturate: a `u128` of grains, also one of ten-thousandths of a
//! grain, overflows at four times the largest amount of nano-USD, so that saturation can never change a cost that fits.

use std::fmt;
use std::sync::Arc;

use tollgate_plugin_api::{ServiceTier, Usage, UsageDetail};

use super::currency::Currency;
use super::decimal;
use super::fees::{Fee, InPlaceOf, in_place_of};
use super::limits::Limits;
use super::pieces::PieceCounts;
use super::sheet::{CLASSES, Change, Class, MULTIPLIER_DECIMALS, MULTIPLIER_MAX, MULTIPLIER_ONE, Sheet};
use super::tariff::ONCE;
use super::window::Window;
use super::worst_case::{Bound, bounds};

/// Grains in 10⁻²³ USD: an hour has 3,600,000 milliseconds, and no power of ten is divisible by nine.
pub(super) const GRAINS_PER_DECIMAL: u128 = 9;
/// Grains in a nano-USD.
pub(super) const GRAINS_PER_NANO: u128 = 100_000_000_000_000 * GRAINS_PER_DECIMAL;
/// Grains in what a token costs at one nano-USD per million tokens and a multiplier of one.
const GRAINS_PER_RATE: u128 = GRAINS_PER_NANO / 1_000_000;
/// Decimals of a price in USD.
pub(super) const PRICE_DECIMALS: u32 = 9;
/// Decimals of USD per million tokens, counted in 10⁻²³ USD for each token, less a million's (6).
const RATE_DECIMALS: u32 = 17;

/// The price of one model: everything that the rows of one name say.
#[derive(Clone, Debug)]
pub struct Price {
    /// The model's name as the first of its rows has it.
    pub model: Arc<str>,
    /// The provider at which this is the price; `None`: at all that have no row of their own.
    pub provider: Option<Arc<str>>,
    /// Other names that have this price.
    pub aliases: Vec<Arc<str>>,
    /// Whether a name followed by a date has this price, too.
    pub dated: bool,
    /// The line of its first row in the text.
    pub line: usize,
    /// What applies until the first of `later` begins.
    first: Tariff,
    /// By the time from which they are valid.
    later: Vec<Tariff>,
    /// By the dearness of the dearest service tier that can come ([`ServiceTier::dearness`]) and by prompt length; see
    /// [`Price::worst_case_nanos`].
    bounds: [Vec<Bound>; DEARNESSES],
    /// The same in the standard tier, where a model may run anywhere.
    bounds_anywhere: Vec<Bound>,
    per_request_max: u64,
    /// What the whole sum is multiplied by, in units of 1 / [`MULTIPLIER_ONE`].
    pub(super) multiplier: u64,
}

/// What the whole cost at an upstream is multiplied by: a decimal number with at most four decimals, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Multiplier(u64);

impl Multiplier {
    /// 1: nothing changes.
    pub const ONE: Self = Self(MULTIPLIER_ONE);

    /// Reads one.
    ///
    /// # Errors
    /// Why the text is none: `more than 4 decimals`, `negative`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read = decimal::parse(text, MULTIPLIER_DECIMALS, MULTIPLIER_MAX);
        read.map(Self).map_err(|error| error.to_string())
    }
}

impl Default for Multiplier {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for Multiplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal::format(self.0.into(), MULTIPLIER_DECIMALS))
    }
}

/// The prices that are valid from some time on.
#[derive(Clone, Debug)]
pub(super) struct Tariff {
    /// `None`: from the beginning of time.
    pub(super) valid_from_ms: Option<i64>,
    pub(super) limits: Limits,
    pub(super) standard: Sheet,
    pub(super) windows: Vec<Window>,
    /// By [`service_tier_index`].
    pub(super) service_tiers: [Option<Change>; SERVICE_TIERS.len()],
    /// Places where a model may have to run.
    pub(super) places: Vec<Place>,
    /// Nano-USD per request.
    pub(super) per_request: u64,
    /// Nano-USD per thousand searches.
    pub(super) web_search_per_thousand: u64,
    /// Of what is billed by the time or by the piece.
    pub(super) fees: Vec<Fee>,
    /// The least of audio that a request is charged for; 0: none.
    pub(super) audio_seconds_min: u64,
    /// What its prices are written in; `None`: USD.
    pub(super) currency: Option<Arc<Currency>>,
}

/// What it costs that a model has to run in one place.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its name, as answers have it.
    pub(super) name: Box<str>,
    /// Every token price times this, in units of 1 / [`MULTIPLIER_ONE`].
    pub(super) multiplier: u64,
}

/// A rate in a place, rounded up to a nano-USD (per million tokens): exact for prices of at most five decimals.
pub(super) fn in_place(rate: u64, multiplier: u64) -> u128 {
    (u128::from(rate) * u128::from(multiplier)).div_ceil(MULTIPLIER_ONE.into())
}

/// The service tiers that can have a price of their own, with their keys in `pricing.toml`.
pub(super) const SERVICE_TIERS: [(&str, ServiceTier); 4] = [
    ("batch", ServiceTier::Batch),
    ("flex", ServiceTier::Flex),
    ("priority", ServiceTier::Priority),
    ("ultrafast", ServiceTier::Ultrafast),
];

/// How many values [`ServiceTier::dearness`] has.
const DEARNESSES: usize = ServiceTier::Ultrafast.dearness() as usize + 1;

fn service_tier_index(tier: ServiceTier) -> Option<usize> {
    SERVICE_TIERS.iter().position(|(_, service)| *service == tier)
}

/// What one part of an answer costs: a count times a price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) item: Item,
    pub(super) count: u64,
    /// Nano-USD per million tokens, per thousand searches, per request, each time, for each piece, or an hour.
    pub(super) rate: u64,
    /// Of the rate, in a place: in units of 1 / [`MULTIPLIER_ONE`].
    pub(super) place_multiplier: u64,
    /// Of a window and of a service tier, likewise.
    pub(super) multipliers: [u64; 2],
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Tokens(Class),
    WebSearches,
    Request,
    Fee,
    Images,
    AudioMs,
    Characters,
}

impl Tariff {
    fn own_price(&self, tier: ServiceTier) -> Option<&Change> {
        service_tier_index(tier).and_then(|index| self.service_tiers[index].as_ref())
    }

    /// What answers in that service tier cost, where that is not what the standard one costs. The dearest one costs at least what the
    /// one below it does.
    fn service(&self, tier: ServiceTier) -> Option<&Change> {
        let below = || (tier == ServiceTier::Ultrafast).then(|| self.own_price(ServiceTier::Priority)).flatten();
        self.own_price(tier).or_else(below)
    }

    /// Whether it is known what tokens cost in that tier. One that is meant to be cheaper (batch, flex) is billed as the standard one
    /// where it has no price, which gives nothing away; a dearer one would be. What is free is so in every tier.
    fn has_price_in(&self, tier: ServiceTier) -> bool {
        !tier.is_dearer() || self.own_price(tier).is_some() || self.standard.is_free()
    }

    pub(super) fn fee(&self, kind: &str) -> Option<u64> {
        self.fees.iter().find(|fee| *fee.kind == *kind).map(|fee| fee.nanos)
    }

    /// The most that one request costs, whatever the answer says that it was.
    fn per_request_max(&self) -> u64 {
        let others =
            self.fees.iter().filter(|fee| in_place_of(&fee.kind) == Some(InPlaceOf::Request)).map(|fee| fee.nanos);
        others.chain([self.per_request]).max().unwrap_or(0)
    }
}

impl Part {
    /// What is charged for one of the units that `rate` is for.
    pub(super) fn charged_rate(&self) -> u128 {
        in_place(self.rate, self.place_multiplier)
    }

    /// Exact, or saturated far above any amount.
    pub(super) fn grains(&self) -> u128 {
        let per_piece = match self.item {
            Item::Tokens(_) => grains_per_token(self.charged_rate(), self.multipliers),
            item => u128::from(self.rate).saturating_mul(item.grains_per_rate()),
        };
        u128::from(self.count).saturating_mul(per_piece)
    }
}

pub(super) fn grains_per_token(rate: u128, multipliers: [u64; 2]) -> u128 {
    // 10²¹ × 10¹⁴ × 9 at most, which fits: all factors are limited where they are read.
    let multiplier = u128::from(multipliers[0]).saturating_mul(u128::from(multipliers[1]));
    const ONE: u128 = (MULTIPLIER_ONE as u128) * (MULTIPLIER_ONE as u128);
    rate.saturating_mul(multiplier).saturating_mul(GRAINS_PER_RATE / ONE)
}

/// Whole nano-USD of a sum times a multiplier, rounded up; `i64::MAX` if it is more than that. The one rounding of a cost.
pub(super) fn nanos(grains: u128, multiplier: u64) -> i64 {
    let sum = grains.saturating_mul(multiplier.into());
    i64::try_from(sum.div_ceil(GRAINS_PER_NANO * u128::from(MULTIPLIER_ONE))).unwrap_or(i64::MAX)
}

/// What prices an answer: the tariff of its time, and in it the window, the service tier and the place that apply.
pub(super) struct Terms<'p> {
    pub(super) tariff: &'p Tariff,
    pub(super) window: Option<&'p Window>,
    pub(super) service: Option<&'p Change>,
    pub(super) place: Option<&'p Place>,
    pub(super) sheet: &'p Sheet,
    pub(super) multipliers: [u64; 2],
    /// The answer came in a dearer service tier that the row has no price for.
    pub(super) lacks_tier: bool,
}

impl<'p> Terms<'p> {
    pub(super) fn new(
        tariff: &'p Tariff,
        window: Option<&'p Window>,
        service: Option<&'p Change>,
        place: Option<&'p Place>,
    ) -> Self {
        let (mut sheet, mut multipliers) = (&tariff.standard, [MULTIPLIER_ONE; 2]);
        for (slot, change) in [window.map(|window| &window.change), service].into_iter().enumerate() {
            match change {
                None => {}
                Some(Change::Multiply(multiplier)) => multipliers[slot] = *multiplier,
                // Not both: a row in which both name prices is refused when it is read.
                Some(Change::Reprice(own)) => sheet = own,
            }
        }
        Self { tariff, window, service, place, sheet, multipliers, lacks_tier: false }
    }

    pub(super) fn place_multiplier(&self) -> u64 {
        self.place.map_or(MULTIPLIER_ONE, |place| place.multiplier)
    }
}

impl Price {
    /// `later` by time. Other names and limits are filled in by the caller.
    pub(super) fn new(
        model: Arc<str>,
        provider: Option<Arc<str>>,
        line: usize,
        first: Tariff,
        later: Vec<Tariff>,
    ) -> Self {
        let tariffs = || std::iter::once(&first).chain(&later);
        let bounds_anywhere = bounds(tariffs(), false, usize::from(ServiceTier::Standard.dearness()));
        let bounds = std::array::from_fn(|dearness| bounds(tariffs(), true, dearness));
        let per_request_max = tariffs().map(Tariff::per_request_max).max().unwrap_or(0);
        Self {
            model,
            provider,
            aliases: Vec::new(),
            dated: false,
            line,
            first,
            later,
            bounds,
            bounds_anywhere,
            per_request_max,
            multiplier: MULTIPLIER_ONE,
        }
    }

    /// The same price where everything costs so many times as much: at an upstream with a discount, say. It holds for the
    /// sum of all parts, for the [worst case](Self::worst_case_nanos) and for what is shown.
    pub fn times(&self, multiplier: Multiplier) -> Self {
        Self { multiplier: multiplier.0, ..self.clone() }
    }

    /// All that it is and will be, by time.
    pub(super) fn tariffs(&self) -> impl Iterator<Item = &Tariff> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// What applies to a request that began at that time.
    pub(super) fn tariff_at(&self, unix_ms: i64) -> &Tariff {
        let begun =
            self.later.iter().rev().find(|tariff| tariff.valid_from_ms.is_none_or(|from_ms| from_ms <= unix_ms));
        begun.unwrap_or(&self.first)
    }

    /// What bounds the tokens of a request that begins at that time.
    pub fn limits(&self, unix_ms: i64) -> Limits {
        self.tariff_at(unix_ms).limits
    }

    /// What applies to a request that began at that time and was answered in that tier, in that place if it had to be there.
    pub(super) fn terms(&self, tier: ServiceTier, inference_geo: Option<&str>, unix_ms: i64) -> Terms<'_> {
        let tariff = self.tariff_at(unix_ms);
        let window = tariff.windows.iter().find(|window| window.contains(unix_ms));
        let place = inference_geo.and_then(|geo| tariff.places.iter().find(|place| *place.name == *geo));
        let lacks_tier = !tariff.has_price_in(tier);
        Terms { lacks_tier, ..Terms::new(tariff, window, tariff.service(tier), place) }
    }

    /// Whether the row says what tokens cost in that service tier, for a request that began at that time. It always does for the
    /// standard tier and for what is cheaper.
    pub fn has_price_in(&self, tier: ServiceTier, unix_ms: i64) -> bool {
        self.tariff_at(unix_ms).has_price_in(tier)
    }

    /// What applies at that time to a request of which nothing particular is said.
    pub(super) fn plain_terms(&self, unix_ms: i64) -> Terms<'_> {
        self.terms(ServiceTier::Standard, None, unix_ms)
    }

    /// An upper bound of what a request can cost, in nano-USD: the dearest class, tier, window, service tier and place that can
    /// apply to a prompt of at most `input_tokens` and `output_tokens` generated ones, at any time. `dearest`: no answer comes in a
    /// dearer service tier than this one. `requests`: as how many it may be billed. `pieces`: what can be billed by the piece.
    /// Searches, what tools do and what a provider bills on other models are not in it: no request says how much of them there will be.
    pub fn worst_case_nanos(
        &self,
        dearest: ServiceTier,
        requests: u64,
        input_tokens: u64,
        output_tokens: u64,
        pieces: &PieceCounts<'_>,
    ) -> i64 {
        let bounds = &self.bounds[usize::from(dearest.dearness())];
        self.bound_nanos(bounds, requests, (input_tokens, output_tokens), pieces)
    }

    /// The same for one request in the standard tier to a model that may run anywhere, as most are: to compare prices by.
    pub fn worst_case_anywhere_nanos(&self, input_tokens: u64, output_tokens: u64, pieces: &PieceCounts<'_>) -> i64 {
        self.bound_nanos(&self.bounds_anywhere, 1, (input_tokens, output_tokens), pieces)
    }

    fn bound_nanos(
        &self,
        bounds: &[Bound],
        requests: u64,
        (input_tokens, output_tokens): (u64, u64),
        pieces: &PieceCounts<'_>,
    ) -> i64 {
        let reached = bounds.iter().rev().find(|bound| input_tokens > bound.above_tokens || bound.above_tokens == 0);
        let Some(bound) = reached else { return 0 };
        let tokens = bound.prompt.saturating_mul(input_tokens.into());
        let tokens = tokens.saturating_add(bound.output.saturating_mul(output_tokens.into()));
        let requests = u128::from(self.per_request_max).saturating_mul(requests.into()).saturating_mul(GRAINS_PER_NANO);
        nanos(tokens.saturating_add(requests).saturating_add(self.pieces_grains_max(pieces)), self.multiplier)
    }

    /// What a request of ordinary length in the standard tier pays at that time, as pairs of the class's key and USD per
    /// million tokens; windows that contain the time are applied.
    pub fn rates_usd(&self, unix_ms: i64) -> Vec<(&'static str, String)> {
        let terms = self.plain_terms(unix_ms);
        let rates = &terms.sheet.step(0).rates;
        let usd = |class: &Class| {
            let exact = grains_per_token(rates[*class as usize].into(), terms.multipliers) / GRAINS_PER_DECIMAL;
            (
                class.key(),
                decimal::format(exact.saturating_mul(self.multiplier.into()), RATE_DECIMALS + MULTIPLIER_DECIMALS),
            )
        };
        Class::ALL.iter().map(usd).collect()
    }

    /// What it costs at that time beside tokens, by the keys of the price file: USD for each request, and for a thousand searches.
    pub fn once_usd(&self, unix_ms: i64) -> [(&'static str, String); 2] {
        let Tariff { per_request, web_search_per_thousand, .. } = self.tariff_at(unix_ms);
        let usd = |nanos: u64| {
            let exact = u128::from(nanos).saturating_mul(self.multiplier.into());
            decimal::format(exact, PRICE_DECIMALS + MULTIPLIER_DECIMALS)
        };
        let [request, searches] = ONCE.map(|(key, _)| key);
        [(request, usd(*per_request)), (searches, usd(*web_search_per_thousand))]
    }

    /// What its prices at that time are written in and the USD that one unit is: `("CNY", "0.1389")`. `None`: USD.
    pub fn currency(&self, unix_ms: i64) -> Option<(&str, String)> {
        let currency = self.plain_terms(unix_ms).tariff.currency.as_deref()?;
        Some((&currency.code, currency.usd_per_unit()))
    }

    /// Adds up one set of counts: `sink` gets every part that is not empty.
    pub(super) fn charge(&self, terms: &Terms<'_>, usage: &Usage, detail: &UsageDetail, sink: &mut impl FnMut(Part)) {
        let rates = &terms.sheet.step(usage.input_tokens).rates;
        let counts = split(usage, detail);
        for (class, count) in Class::ALL.into_iter().zip(counts) {
            if count > 0 {
                let part = Part {
                    item: Item::Tokens(class),
                    count,
                    rate: rates[class as usize],
                    place_multiplier: terms.place_multiplier(),
                    multipliers: terms.multipliers,
                };
                sink(part);
            }
        }
    }
}

/// Puts each token into one class. Parts that are larger than their whole (as some providers report) are cut to it, so
/// that the classes of a side always sum up to its count.
fn split(usage: &Usage, detail: &UsageDetail) -> [u64; CLASSES] {
    let mut counts = [0; CLASSES];
    let mut take = |class: Class, wanted: u64, left: &mut u64| {
        let taken = wanted.min(*left);
        *left -= taken;
        counts[class as usize] = taken;
    };
    let mut prompt = usage.input_tokens;
    let mut cached = usage.cached_input_tokens.min(prompt);
    prompt -= cached;
    let mut written = usage.cache_write_tokens.min(prompt);
    prompt -= written;
    take(Class::CachedAudio, detail.cached_audio_tokens, &mut cached);
    take(Class::CachedInput, u64::MAX, &mut cached);
    take(Class::CacheWrite1h, detail.cache_write_1h_tokens, &mut written);
    take(Class::CacheWrite, u64::MAX, &mut written);
    take(Class::InputAudio, detail.input_audio_tokens, &mut prompt);
    take(Class::InputImage, detail.input_image_tokens, &mut prompt);
    take(Class::Input, u64::MAX, &mut prompt);
    let mut output = usage.output_tokens;
    take(Class::OutputAudio, detail.output_audio_tokens, &mut output);
    take(Class::OutputImage, detail.output_image_tokens, &mut output);
    take(Class::Reasoning, usage.reasoning_tokens, &mut output);
    take(Class::Output, u64::MAX, &mut output);
    counts
}
