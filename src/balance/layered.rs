//! Healthy first, then cheap, then fast.

use super::strategy::Strategy;
use super::tier::{Tier, View};

/// How far below the best success rate a candidate may be, in thousandths.
const HEALTHY_PER_MILLE: u64 = 100;
/// How much slower than the fastest a candidate may be: one part in so many.
const SLOWER_ONE_IN: u64 = 4;

/// Of the available candidates: those whose success rate is within 10 points of the best; of these the cheapest; of these
/// those within a quarter of the lowest latency (one never measured counts as fast). What is left is equal
/// ([`Tier::compare`]).
pub(super) struct Layered;

impl Strategy for Layered {
    fn name(&self) -> &'static str {
        "layered"
    }

    fn choose(&self, tier: &Tier, view: &View<'_>, random: u64) -> Option<usize> {
        tier.compare(view, random, |list| {
            list.keep_highest(|candidate| candidate.observed.success_per_mille(), HEALTHY_PER_MILLE);
            list.keep_lowest(|candidate| Some(u64::from(candidate.cost_rank)), |cheapest| cheapest);
            // Less than a millisecond is fast, but no measure for the others.
            let measured = |latency_ms: &u64| *latency_ms > 0;
            list.keep_lowest(
                |candidate| candidate.observed.latency_ms().filter(measured),
                |fastest| fastest + fastest / SLOWER_ONE_IN,
            );
        })
    }
}
