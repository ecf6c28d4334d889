//! Random rows and answers against a second, slow calculation with numbers of any length.

use proptest::collection::vec;
use proptest::prelude::*;
use tollgate_plugin_api::{Metered, ServiceTier, Usage, UsageDetail};

use super::{book, only};
use crate::price::PieceCounts;

const KEYS: [&str; 11] = [
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "input_audio",
    "cached_audio",
    "input_image",
    "output",
    "reasoning",
    "output_audio",
    "output_image",
];

/// Whose price a class has: that of the first of these that is named.
const ASKED: [&[usize]; 11] =
    [&[0], &[1, 0], &[2, 0], &[3, 2, 0], &[4, 0], &[5, 4, 1, 0], &[6, 0], &[7], &[8, 7], &[9, 7], &[10, 7]];

type Named = [Option<u64>; 11];
type Tiers = Vec<(u64, Named)>;

#[derive(Clone, Debug)]
enum Change {
    Times(u64),
    Prices(Named, Tiers),
}

/// A row as the oracle knows it.
#[derive(Clone, Debug)]
struct Row {
    named: Named,
    tiers: Tiers,
    service_tiers: [Option<Change>; 4],
    /// The multiplier of the only place.
    place: Option<u64>,
    /// The day of the week (0 = Monday) on which it applies, UTC.
    windows: Vec<(usize, Change)>,
    per_request: u64,
    search: u64,
    /// Of an image, of an hour of audio, of a character.
    pieces: [u64; 3],
    /// The least of audio, in seconds.
    audio_min: u64,
}

impl Row {
    fn text(&self) -> String {
        let mut text = format!("[[model]]\nname = \"m\"\n{}", prices(&self.named).replace(", ", "\n"));
        text += &format!("\nper_request = {}\nweb_search_per_thousand = {}\n", usd(self.per_request), usd(self.search));
        let [image, hour, character] = self.pieces.map(usd);
        text += &format!("fees = {{ image = {image}, audio_hour = {hour}, character = {character} }}\n");
        text += &format!("audio_seconds_min = {}\n", self.audio_min);
        text += &format!("tiers = {}\n", tiers(&self.tiers));
        for (key, change) in ["batch", "flex", "priority", "ultrafast"].iter().zip(&self.service_tiers) {
            text += &match change {
                None => String::new(),
                Some(Change::Times(times)) => format!("{key} = {}\n", multiplier(*times)),
                Some(Change::Prices(named, own)) => {
                    format!("{key} = {{ {}, tiers = {} }}\n", prices(named), tiers(own))
                }
            };
        }
        if let Some(times) = self.place {
            text += &format!("inference_geo = {{ us = {} }}\n", multiplier(times));
        }
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let windows = self.windows.iter().map(|(day, change)| {
            let change = match change {
                Change::Times(times) => format!("multiplier = {}", multiplier(*times)),
                Change::Prices(named, own) => format!("{}, tiers = {}", prices(named), tiers(own)),
            };
            format!("{{ days = [\"{}\"], time_zone = \"UTC\", {change} }}", days[*day])
        });
        text + &format!("windows = [{}]\n", windows.collect::<Vec<_>>().join(", "))
    }

    /// Whether a tier that is meant to be dear has no price, though what it bills has one.
    fn misses(&self, metered: &Metered) -> bool {
        let own = match metered.tier {
            ServiceTier::Priority => &self.service_tiers[2],
            ServiceTier::Ultrafast => &self.service_tiers[3],
            _ => return false,
        };
        let costs = |named: &Named| named.iter().flatten().any(|price| *price > 0);
        let has_price = costs(&self.named) || self.tiers.iter().any(|(_, named)| costs(named));
        own.is_none() && has_price && (metered.usage.input_tokens, metered.usage.output_tokens) != (0, 0)
    }

    /// The oracle.
    fn cost_nanos(&self, metered: &Metered, unix_ms: i64) -> i64 {
        // 1970-01-01 was a Thursday.
        let today = usize::try_from((unix_ms.div_euclid(86_400_000) + 3).rem_euclid(7)).unwrap();
        let window = self.windows.iter().find(|(day, _)| *day == today).map(|(_, change)| change);
        let service = match metered.tier {
            ServiceTier::Standard => None,
            ServiceTier::Batch => self.service_tiers[0].as_ref(),
            ServiceTier::Flex => self.service_tiers[1].as_ref(),
            ServiceTier::Priority => self.service_tiers[2].as_ref(),
            ServiceTier::Ultrafast => self.service_tiers[3].as_ref().or(self.service_tiers[2].as_ref()),
        };
        let (mut own, mut lengths, mut times) = ([None; 11], &self.tiers, Big::from(1));
        for change in [window, service] {
            match change {
                None => times = times.times(&Big::from(10_000)),
                Some(Change::Times(factor)) => times = times.times(&Big::from(*factor)),
                Some(Change::Prices(named, tiers)) => {
                    (own, lengths) = (*named, tiers);
                    times = times.times(&Big::from(10_000));
                }
            }
        }
        let place = self.place.filter(|_| metered.inference_geo.is_some()).unwrap_or(10_000);
        let prompt = metered.usage.input_tokens;
        let tier = lengths.iter().filter(|(above, _)| prompt > *above).max_by_key(|(above, _)| *above);
        let named = |key: usize| tier.and_then(|(_, named)| named[key]).or(own[key]).or(self.named[key]);
        let mut sum = Big::from(0);
        for (class, count) in counts(metered).into_iter().enumerate() {
            let price = ASKED[class].iter().find_map(|key| named(*key)).unwrap();
            let there = (u128::from(price) * u128::from(place)).div_ceil(10_000);
            sum = sum.plus(&Big::from(count).times(&Big::wide(there)).times(&times));
        }
        // One token at one nano-USD per million, times 10⁴ × 10⁴, is 10⁸ parts of which 10¹⁴ are a nano-USD.
        let searches = Big::from(metered.detail.web_searches).times(&Big::from(self.search));
        sum = sum.plus(&searches.times(&Big::from(100_000_000_000)));
        sum = sum.plus(&Big::from(self.per_request).times(&Big::from(100_000_000_000_000)));
        let times = |kind: &str| metered.extras.iter().find(|extra| extra.kind == kind).map_or(0, |extra| extra.times);
        let [image, hour, character] = self.pieces;
        for (count, price) in [(times("image"), image), (times("character"), character)] {
            sum = sum.plus(&Big::from(count).times(&Big::from(price)).times(&Big::from(100_000_000_000_000)));
        }
        // A millisecond is a part of 3,600,000: nine times as many parts make it a whole number of them.
        let heard = times("audio_ms");
        let heard = if heard == 0 { 0 } else { heard.max(self.audio_min * 1_000) };
        let audio = Big::from(heard).times(&Big::from(hour)).times(&Big::from(250_000_000));
        sum.times(&Big::from(9)).plus(&audio).divided_up(10_000_000, 90_000_000)
    }
}

fn counts(metered: &Metered) -> [u64; 11] {
    let (usage, detail) = (&metered.usage, &metered.detail);
    let cached = usage.cached_input_tokens.min(usage.input_tokens);
    let cached_audio = detail.cached_audio_tokens.min(cached);
    let written = usage.cache_write_tokens.min(usage.input_tokens - cached);
    let hour = detail.cache_write_1h_tokens.min(written);
    let fresh = usage.input_tokens - cached - written;
    let audio = detail.input_audio_tokens.min(fresh);
    let image = detail.input_image_tokens.min(fresh - audio);
    let spoken = detail.output_audio_tokens.min(usage.output_tokens);
    let drawn = detail.output_image_tokens.min(usage.output_tokens - spoken);
    let thought = usage.reasoning_tokens.min(usage.output_tokens - spoken - drawn);
    let said = usage.output_tokens - spoken - drawn - thought;
    let input = fresh - audio - image;
    [input, cached - cached_audio, written - hour, hour, audio, cached_audio, image, said, thought, spoken, drawn]
}

fn usd(nanos: u64) -> String {
    format!("\"{}.{:09}\"", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

fn multiplier(times: u64) -> String {
    format!("{}.{:04}", times / 10_000, times % 10_000)
}

fn prices(named: &Named) -> String {
    let named = KEYS.iter().zip(named).filter_map(|(key, price)| Some(format!("{key} = {}", usd((*price)?))));
    named.collect::<Vec<_>>().join(", ")
}

fn tiers(tiers: &Tiers) -> String {
    let tiers = tiers.iter().map(|(above, named)| format!("{{ above_prompt_tokens = {above}, {} }}", prices(named)));
    format!("[{}]", tiers.collect::<Vec<_>>().join(", "))
}

/// A number of any length: 32 bits a limb, the lowest first.
#[derive(Clone, Debug)]
struct Big(Vec<u32>);

impl Big {
    fn from(number: u64) -> Self {
        Self(vec![number as u32, (number >> 32) as u32])
    }

    fn wide(number: u128) -> Self {
        Self((0..4).map(|limb| (number >> (32 * limb)) as u32).collect())
    }

    fn plus(&self, other: &Self) -> Self {
        let limb = |big: &Self, at: usize| u64::from(big.0.get(at).copied().unwrap_or(0));
        let mut carry = 0;
        let limbs = (0..=self.0.len().max(other.0.len())).map(|at| {
            let sum = limb(self, at) + limb(other, at) + carry;
            carry = sum >> 32;
            sum as u32
        });
        Self(limbs.collect())
    }

    fn times(&self, other: &Self) -> Self {
        let mut product = vec![0_u32; self.0.len() + other.0.len()];
        for (i, a) in self.0.iter().enumerate() {
            let mut carry = 0;
            for (j, b) in other.0.iter().enumerate() {
                let sum = u64::from(*a) * u64::from(*b) + u64::from(product[i + j]) + carry;
                product[i + j] = sum as u32;
                carry = sum >> 32;
            }
            product[i + other.0.len()] = carry as u32;
        }
        Self(product)
    }

    /// Divided by both, rounded up; `i64::MAX` if it is more.
    fn divided_up(&self, first: u64, second: u64) -> i64 {
        let (mut limbs, mut rest) = (self.0.clone(), false);
        for divisor in [first, second] {
            let mut remainder = 0;
            for limb in limbs.iter_mut().rev() {
                let part = (remainder << 32) | u64::from(*limb);
                *limb = (part / divisor) as u32;
                remainder = part % divisor;
            }
            rest |= remainder > 0;
        }
        let rounded = Self(limbs).plus(&Self::from(rest.into()));
        let whole = u64::from(rounded.0[0]) | u64::from(rounded.0[1]) << 32;
        if rounded.0[2..].iter().any(|limb| *limb > 0) { i64::MAX } else { i64::try_from(whole).unwrap_or(i64::MAX) }
    }
}

/// Counts as they are, at the edges, and as an enemy would send them.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..5_000_u64, 2 => 0..=1_000_000_000_u64, 1 => Just(0), 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

/// Nano-USD: usual prices, odd ones, the largest.
fn price() -> BoxedStrategy<u64> {
    prop_oneof![
        4 => (0..60_000_u64).prop_map(|thousandths| thousandths * 1_000_000),
        2 => 0..100_000_000_000_u64,
        1 => 0..=1_000_u64,
        1 => Just(1_000_000_000_000_000_000)
    ]
    .boxed()
}

fn named(at_least_one: bool) -> BoxedStrategy<Named> {
    let strategy = (vec(proptest::option::of(price()), 11), 0..11_usize, price());
    let strategy = strategy.prop_map(move |(prices, key, price)| {
        let mut named: Named = std::array::from_fn(|key| prices[key]);
        if at_least_one && named.iter().all(Option::is_none) {
            named[key] = Some(price);
        }
        named
    });
    strategy.boxed()
}

fn some_tiers() -> BoxedStrategy<Tiers> {
    let strategy = vec((1..4_000_u64, named(true)), 0..3).prop_map(|mut tiers| {
        tiers.dedup_by_key(|(above, _)| *above);
        if tiers.len() == 2 && tiers[0].0 == tiers[1].0 {
            tiers.pop();
        }
        tiers
    });
    strategy.boxed()
}

fn change() -> BoxedStrategy<Change> {
    prop_oneof![
        (0..=10_000_000_u64).prop_map(Change::Times),
        (named(true), some_tiers()).prop_map(|(named, tiers)| Change::Prices(named, tiers)),
    ]
    .boxed()
}

fn row() -> BoxedStrategy<Row> {
    let service_tiers = vec(proptest::option::of(change()), 4);
    let required = (price(), price());
    let place = proptest::option::of(prop_oneof![0..=20_000_u64, 0..=10_000_000_u64]);
    let pieces = ([price(), price(), price()], prop_oneof![Just(0), 0..=3_600_u64]);
    let rest = (vec((0..7_usize, change()), 0..3), price(), price(), place, pieces);
    let strategy = (named(false), required, some_tiers(), service_tiers, rest);
    let strategy = strategy.prop_map(|(mut named, required, tiers, service_tiers, rest)| {
        let service_tiers: [Option<Change>; 4] = service_tiers.try_into().unwrap();
        (named[0], named[7]) = (Some(required.0), Some(required.1));
        let (mut windows, per_request, search, place, (pieces, audio_min)) = rest;
        if service_tiers.iter().flatten().any(|change| matches!(change, Change::Prices(..))) {
            windows.retain(|(_, change)| matches!(change, Change::Times(_)));
        }
        Row { named, tiers, service_tiers, place, windows, per_request, search, pieces, audio_min }
    });
    strategy.boxed()
}

fn metered() -> BoxedStrategy<Metered> {
    let tier = prop_oneof![
        Just(ServiceTier::Standard),
        Just(ServiceTier::Batch),
        Just(ServiceTier::Flex),
        Just(ServiceTier::Priority),
        Just(ServiceTier::Ultrafast)
    ];
    let geo = proptest::option::of(Just("us".to_owned()));
    let strategy = (vec(count(), 15), tier, geo).prop_map(|(counts, tier, inference_geo)| {
        let [a, b, c, d, e, f, g, h, i, j, k, l, images, audio_ms, characters]: [u64; 15] = counts.try_into().unwrap();
        let usage = Usage {
            input_tokens: a,
            cached_input_tokens: b,
            cache_write_tokens: c,
            output_tokens: d,
            reasoning_tokens: e,
        };
        let detail = UsageDetail {
            cache_write_1h_tokens: f,
            input_audio_tokens: g,
            cached_audio_tokens: h,
            input_image_tokens: i,
            output_audio_tokens: j,
            output_image_tokens: k,
            web_searches: l,
        };
        let extras = PieceCounts { images, audio_ms, characters, ..PieceCounts::default() }.extras();
        Metered { usage, detail, extras, tier, inference_geo, ..Metered::default() }
    });
    strategy.boxed()
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -2_000_000_000_000..4_000_000_000_000_i64, 1 => Just(0)]
}

proptest! {
    // A failing case is printed whole; no folder of seeds in the project.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The number of cases is PROPTEST_CASES × 32.
    #[test]
    fn agrees_with_the_oracle(row in row(), answers in vec((metered(), time()), 32)) {
        let book = book(&row.text());
        for (metered, at) in answers {
            let cost = book.cost(Some(only(&book)), &metered, at);
            prop_assert_eq!(cost.missing, row.misses(&metered), "{:?} in {}", metered, row.text());
            prop_assert_eq!(cost.nanos, row.cost_nanos(&metered, at), "{:?} at {} in {}", metered, at, row.text());
            let lines = book.explain(Some(only(&book)), &metered, at);
            let sum: i128 = lines.iter().map(|line| line.amount).sum();
            prop_assert_eq!(sum, i128::from(cost.nanos) * 1_000_000_000_000_000_000);
        }
    }

    #[test]
    fn never_above_the_worst_case(row in row(), answers in vec((metered(), time()), 32), more in (0..100_u64, 0..100_u64)) {
        let book = book(&row.text());
        for (mut metered, at) in answers {
            metered.detail.web_searches = 0;
            let cost = book.cost(Some(only(&book)), &metered, at).nanos;
            let input = metered.usage.input_tokens.saturating_add(more.0);
            let output = metered.usage.output_tokens.saturating_add(more.1);
            let times = |kind: &str| metered.extras.iter().find(|extra| extra.kind == kind).map_or(0, |extra| extra.times);
            let (images, audio_ms, characters) = (times("image"), times("audio_ms"), times("character"));
            let pieces = PieceCounts { images, audio_ms, characters, ..PieceCounts::default() };
            let worst = only(&book).worst_case_nanos(metered.tier, 1, input, output, &pieces);
            prop_assert!(cost >= 0 && cost <= worst, "{cost} > {worst}: {metered:?} at {at} in {}", row.text());
        }
    }

    #[test]
    fn more_tokens_never_cost_less_without_tiers(row in row(), mut metered in metered(), at in time(), more in 0..1000_u64) {
        let plain = Row { tiers: Vec::new(), service_tiers: [None, None, None, None], windows: Vec::new(), ..row };
        let book = book(&plain.text());
        let before = book.cost(Some(only(&book)), &metered, at).nanos;
        metered.usage.output_tokens = metered.usage.output_tokens.saturating_add(more);
        let mut reasoning = metered.clone();
        reasoning.usage.reasoning_tokens = 0;
        reasoning.detail = UsageDetail::default();
        metered.detail.web_searches = metered.detail.web_searches.saturating_add(1);
        prop_assert!(book.cost(Some(only(&book)), &metered, at).nanos >= before);
        prop_assert!(book.cost(Some(only(&book)), &reasoning, at).nanos >= 0);
    }
}
