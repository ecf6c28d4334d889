//! In turn, whatever the weights (but those of 0, which no strategy sees beside others).

use super::strategy::Strategy;
use super::tier::{Tier, View};

/// The available candidates one after the other. One that is unavailable is not simply skipped, which would give its share
/// to its neighbour: the turn counts the available ones alone.
pub(super) struct RoundRobin;

impl Strategy for RoundRobin {
    fn name(&self) -> &'static str {
        "round_robin"
    }

    fn choose(&self, tier: &Tier, view: &View<'_>, random: u64) -> Option<usize> {
        tier.rotate(view, random)
    }
}
