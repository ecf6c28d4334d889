//! The one that failed least lately.

use super::strategy::Strategy;
use super::tier::{Tier, View};

/// Success rates closer than this are equal, in thousandths: one failure among many is no verdict.
const EQUAL_PER_MILLE: u64 = 40;

/// The highest average success rate; rates within 4 points of it are equal ([`Tier::compare`]).
pub(super) struct SuccessRate;

impl Strategy for SuccessRate {
    fn name(&self) -> &'static str {
        "success_rate"
    }

    fn choose(&self, tier: &Tier, view: &View<'_>, random: u64) -> Option<usize> {
        tier.compare(view, random, |list| {
            list.keep_highest(|candidate| candidate.observed.success_per_mille(), EQUAL_PER_MILLE);
        })
    }
}
