//! Sums over rows of the ledger, in a form that is added to in place: what charts are drawn from.

use crate::ledger::{LedgerRecord, Outcome};
use serde::{Deserialize, Serialize};
use tollgate_plugin_api::{Usage, UsageSource};

/// The form in which tallies are written. Another form takes another number.
const FORM: u8 = 1;

/// Something that rows of the ledger add up to.
pub(super) trait Sum: Default {
    /// Counts a row in.
    fn add_record(&mut self, record: &LedgerRecord);

    /// Adds a tally as it is written; none: it is not what was written.
    fn add_encoded(&mut self, bytes: &[u8]) -> Option<()>;
}

/// What rows count and cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// How many there are.
    pub requests: u64,
    /// Those that failed: at the upstream, or with the gateway.
    pub errors: u64,
    /// Those whose counts are estimates.
    pub estimated: u64,
    /// Those whose model had no price.
    pub price_missing: u64,
    /// Sums of the five counts.
    pub usage: Usage,
    /// Sum of the costs, in nano-USD.
    pub cost_nanos: i128,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in [
            (&mut self.requests, other.requests),
            (&mut self.errors, other.errors),
            (&mut self.estimated, other.estimated),
            (&mut self.price_missing, other.price_missing),
        ] {
            *sum = sum.saturating_add(count);
        }
        add_usage(&mut self.usage, &other.usage);
        self.cost_nanos = self.cost_nanos.saturating_add(other.cost_nanos);
    }

    /// The cost as one amount; at its limit it stays there.
    pub fn cost_nanos_i64(&self) -> i64 {
        i64::try_from(self.cost_nanos).unwrap_or(if self.cost_nanos < 0 { i64::MIN } else { i64::MAX })
    }
}

impl Sum for Counts {
    fn add_record(&mut self, record: &LedgerRecord) {
        let failed = matches!(record.outcome, Outcome::UpstreamError | Outcome::Interrupted);
        self.requests += 1;
        self.errors += u64::from(failed);
        self.estimated += u64::from(record.metered.source == UsageSource::Estimated);
        self.price_missing += u64::from(record.price_missing);
        add_usage(&mut self.usage, &record.metered.usage);
        self.cost_nanos += i128::from(record.cost_nanos);
    }

    /// They stand first. What follows is not looked at: that is most of it.
    fn add_encoded(&mut self, bytes: &[u8]) -> Option<()> {
        self.add(&first(bytes)?.0);
        Some(())
    }
}

/// What rows count and cost, and how long they took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// What they count and cost.
    pub counts: Counts,
    /// How long they took, from arrival to the end.
    pub duration: Latencies,
    /// How long until the first token, of those that had one.
    pub ttft: Latencies,
}

impl Sum for Tally {
    fn add_record(&mut self, record: &LedgerRecord) {
        self.counts.add_record(record);
        self.duration.count(record.duration_ms);
        if let Some(ttft_ms) = record.ttft_ms {
            self.ttft.count(ttft_ms);
        }
    }

    fn add_encoded(&mut self, bytes: &[u8]) -> Option<()> {
        self.add(&Self::decode(bytes)?);
        Some(())
    }
}

/// What a tally that is written begins with, and what is left over.
fn first<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Option<(T, &'b [u8])> {
    let (FORM, rest) = bytes.split_first().map(|(form, rest)| (*form, rest))? else { return None };
    postcard::take_from_bytes(rest).ok()
}

impl Tally {
    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.duration.add(&other.duration);
        self.ttft.add(&other.ttft);
    }

    /// As bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        // Plain numbers always have a form.
        postcard::to_extend(self, vec![FORM]).unwrap_or_default()
    }

    /// From bytes; none: they are not what was written.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (tally, left_over) = first(bytes)?;
        left_over.is_empty().then_some(tally)
    }

    /// A number in which every field counts, and which adds up as tallies do.
    pub(super) fn fingerprint(&self) -> u64 {
        let Counts { requests, errors, estimated, price_missing, usage, cost_nanos } = self.counts;
        let Usage { input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens } = usage;
        let counts = [requests, errors, estimated, price_missing, cost_nanos as u64];
        let tokens = [input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens];
        let places = |latencies: &Latencies, from: u64| {
            let terms = latencies.0.iter().map(|(place, count)| count.wrapping_mul(factor(from + u64::from(*place))));
            terms.fold(0, u64::wrapping_add)
        };
        let numbers = (0..).zip(counts.into_iter().chain(tokens)).map(|(at, number)| number.wrapping_mul(factor(at)));
        let sum = numbers.fold(0, u64::wrapping_add);
        sum.wrapping_add(places(&self.duration, 1 << 10)).wrapping_add(places(&self.ttft, 1 << 11))
    }
}

/// A factor for each field: an odd number that has nothing to do with the others.
fn factor(at: u64) -> u64 {
    let mixed = (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1
}

fn add_usage(sum: &mut Usage, usage: &Usage) {
    for (sum, count) in [
        (&mut sum.input_tokens, usage.input_tokens),
        (&mut sum.cached_input_tokens, usage.cached_input_tokens),
        (&mut sum.cache_write_tokens, usage.cache_write_tokens),
        (&mut sum.output_tokens, usage.output_tokens),
        (&mut sum.reasoning_tokens, usage.reasoning_tokens),
    ] {
        *sum = sum.saturating_add(count);
    }
}

/// How many took how long: counts by places, of which four make a doubling, so that a reading is off by an eighth at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies(Vec<(u8, u64)>);

/// Parts of a doubling, as a power of two.
const PARTS_BITS: u32 = 2;

impl Latencies {
    fn count(&mut self, ms: u64) {
        self.add_at(place(ms), 1);
    }

    fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(place, count)| self.add_at(*place, *count));
    }

    fn add_at(&mut self, place: u8, count: u64) {
        match self.0.binary_search_by_key(&place, |(place, _)| *place) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(count),
            Err(at) => self.0.insert(at, (place, count)),
        }
    }

    /// The time within which so many per cent were done; none: there are none.
    pub fn percentile_ms(&self, percent: u64) -> Option<u64> {
        let total = self.0.iter().map(|(_, count)| u128::from(*count)).sum::<u128>();
        let rank = (total * u128::from(percent.min(100))).div_ceil(100).max(1);
        let mut passed = 0;
        let found = self.0.iter().find(|(_, count)| {
            passed += u128::from(*count);
            passed >= rank
        });
        found.map(|(place, _)| middle_ms(*place))
    }
}

fn place(ms: u64) -> u8 {
    let parts = 1 << PARTS_BITS;
    if ms < parts {
        return ms as u8;
    }
    let doubling = ms.ilog2() - PARTS_BITS;
    // At most 4 * 62 + 7.
    (u64::from(doubling) * parts + (ms >> doubling)) as u8
}

fn middle_ms(place: u8) -> u64 {
    let (parts, place) = (1_u64 << PARTS_BITS, u64::from(place));
    if place < parts {
        return place;
    }
    let doubling = (place / parts).saturating_sub(1);
    let first = (parts + place % parts) << doubling;
    first + ((1_u64 << doubling) - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_times_are_exact_and_the_largest_has_a_place() {
        for ms in 0..8 {
            assert_eq!(middle_ms(place(ms)), ms);
        }
        assert_eq!(place(u64::MAX), 255 - 4);
    }

    #[test]
    fn percentiles_are_by_rank() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile_ms(50), None);
        for ms in [1, 1, 2, 3, 1_000_000] {
            latencies.count(ms);
        }
        let read = [0, 20, 50, 80, 81].map(|percent| latencies.percentile_ms(percent));
        assert_eq!(read[..4], [Some(1), Some(1), Some(2), Some(3)]);
        assert!(read[4].is_some_and(|ms| ms.abs_diff(1_000_000) <= 125_000));
    }

    #[test]
    fn other_bytes_are_no_tally() {
        let counts = Counts { requests: 300, cost_nanos: 1 << 100, ..Counts::default() };
        let bytes = Tally { counts, ..Tally::default() }.encode();
        assert!(Tally::decode(&bytes).is_some());
        assert_eq!(Tally::decode(&[]), None);
        assert_eq!(Tally::decode(&bytes[1..]), None);
        assert_eq!(Tally::decode(&[&bytes[..], &[0]].concat()), None);
        for length in 0..bytes.len() - 2 {
            assert_eq!(Counts::default().add_encoded(&bytes[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_tally_is_written_as_it_ever_was_and_its_counts_are_read_alone() {
        let bytes = [1, 0xac, 0x02, 1, 2, 3, 4, 5, 6, 7, 8, 17, 2, 9, 10, 11, 12, 1, 13, 14];
        let usage = Usage {
            input_tokens: 4,
            cached_input_tokens: 5,
            cache_write_tokens: 6,
            output_tokens: 7,
            reasoning_tokens: 8,
        };
        let counts = Counts { requests: 300, errors: 1, estimated: 2, price_missing: 3, usage, cost_nanos: -9 };
        let tally = Tally {
            counts: counts.clone(),
            duration: Latencies(vec![(9, 10), (11, 12)]),
            ttft: Latencies(vec![(13, 14)]),
        };
        assert_eq!(tally.encode(), bytes);
        assert_eq!(Tally::decode(&bytes), Some(tally));
        let mut sum = Counts::default();
        sum.add_encoded(&bytes).unwrap();
        assert_eq!(sum, counts);
    }

    proptest! {
        #[test]
        fn a_time_is_read_back_to_an_eighth(ms in 0..=u64::MAX / 2) {
            prop_assert!(middle_ms(place(ms)).abs_diff(ms) <= ms / 8);
        }

        #[test]
        fn fingerprints_add_up(times in prop::collection::vec((0..1_u64 << 40, 0..1_i64 << 60, any::<bool>()), 1..20)) {
            let mut sum = Tally::default();
            let mut fingerprints = 0_u64;
            for (duration_ms, cost_nanos, has_first) in times {
                let record = LedgerRecord {
                    duration_ms, cost_nanos, ttft_ms: has_first.then_some(duration_ms / 2), ..LedgerRecord::default()
                };
                let mut one = Tally::default();
                one.add_record(&record);
                fingerprints = fingerprints.wrapping_add(one.fingerprint());
                sum.add(&one);
                prop_assert_eq!(Tally::decode(&sum.encode()), Some(sum.clone()));
            }
            prop_assert_eq!(sum.fingerprint(), fingerprints);
        }
    }
}
