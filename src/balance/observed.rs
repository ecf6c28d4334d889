//! How a candidate has done lately: moving averages in atomics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A new latency counts one part in 2^3, a new outcome one part in 2^5.
const LATENCY_SHIFT: u32 = 3;
const SUCCESS_SHIFT: u32 = 5;
/// Fractional bits of the averages.
const FRACTION: u32 = 16;
/// Latencies above are taken for this, in milliseconds.
const LATENCY_MS_MAX: u64 = 3_600_000;
const NEVER: u64 = u64::MAX;

/// Moving averages of one candidate's latency and success. Shared with the next configuration, so that a reload forgets
/// nothing.
#[derive(Debug)]
pub struct Observed {
    /// Milliseconds with [`FRACTION`] bits; [`NEVER`]: nothing seen yet.
    latency: AtomicU64,
    /// 0 to 1 with [`FRACTION`] bits.
    success: AtomicU64,
}

impl Default for Observed {
    fn default() -> Self {
        Self { latency: AtomicU64::new(NEVER), success: AtomicU64::new(1 << FRACTION) }
    }
}

impl Observed {
    /// Takes note of one attempt: how long until its first token (or its whole answer), and whether it went well. The
    /// latency of a failure is not counted, or a fast failure would look attractive.
    pub fn observe(&self, latency_ms: u64, ok: bool) {
        let outcome = u64::from(ok) << FRACTION;
        let _ = self.success.fetch_update(Relaxed, Relaxed, |mean| Some(moved(mean, outcome, SUCCESS_SHIFT)));
        if ok {
            let latest = latency_ms.min(LATENCY_MS_MAX) << FRACTION;
            let next = |mean| Some(if mean == NEVER { latest } else { moved(mean, latest, LATENCY_SHIFT) });
            let _ = self.latency.fetch_update(Relaxed, Relaxed, next);
        }
    }

    /// The average latency in milliseconds; none before the first success.
    pub fn latency_ms(&self) -> Option<u64> {
        let mean = self.latency.load(Relaxed);
        (mean != NEVER).then_some(mean >> FRACTION)
    }

    /// The share of attempts that went well, in thousandths; none before the first attempt.
    pub fn seen_success_per_mille(&self) -> Option<u64> {
        let per_mille = self.success_per_mille();
        // The first that goes well has a latency, and the first that does not makes it less.
        (self.latency_ms().is_some() || per_mille < 1000).then_some(per_mille)
    }

    /// The same for whoever compares upstreams: 1000 before the first, so that a new one is tried.
    pub fn success_per_mille(&self) -> u64 {
        (self.success.load(Relaxed) * 1000) >> FRACTION
    }
}

/// Moves an average towards a new value; both below 2^63.
fn moved(mean: u64, latest: u64, shift: u32) -> u64 {
    if latest >= mean {
        // Rounded up, so that the average can reach a value above it.
        mean + (latest - mean).div_ceil(1 << shift)
    } else {
        mean - (mean - latest).div_ceil(1 << shift)
    }
}

#[cfg(test)]
mod tests {
    use super::Observed;
    use proptest::prelude::*;

    #[test]
    fn averages_follow_what_is_seen() {
        let seen = Observed::default();
        assert_eq!((seen.latency_ms(), seen.success_per_mille()), (None, 1000));
        assert_eq!(seen.seen_success_per_mille(), None);
        seen.observe(100, true);
        assert_eq!(seen.latency_ms(), Some(100));
        seen.observe(900, true);
        assert_eq!(seen.latency_ms(), Some(200));
        for _ in 0..100 {
            seen.observe(50, true);
        }
        assert_eq!((seen.latency_ms(), seen.success_per_mille()), (Some(50), 1000));
    }

    #[test]
    fn a_fast_failure_is_not_fast() {
        let seen = Observed::default();
        seen.observe(300, true);
        seen.observe(1, false);
        assert_eq!(seen.latency_ms(), Some(300));
        assert_eq!(seen.success_per_mille(), 968);
        for _ in 0..1000 {
            seen.observe(1, false);
        }
        assert_eq!(seen.success_per_mille(), 0);
        let failing = Observed::default();
        failing.observe(1, false);
        assert_eq!((failing.latency_ms(), failing.seen_success_per_mille()), (None, Some(968)));
    }

    proptest! {
        #[test]
        fn an_average_stays_between_the_extremes(latencies in prop::collection::vec(0u64..10_000_000, 1..50)) {
            let seen = Observed::default();
            for latency in &latencies {
                seen.observe(*latency, true);
            }
            let mean = seen.latency_ms().unwrap();
            let low = latencies.iter().min().unwrap();
            let high = latencies.iter().max().unwrap();
            prop_assert!(*low.min(&3_600_000) <= mean && mean <= *high);
            prop_assert_eq!(seen.success_per_mille(), 1000);
        }
    }
}
