//! At random, in proportion to the weights.

use super::draws::Draws;
use super::strategy::Strategy;
use super::tier::{Tier, View};

/// Each available candidate gets its weight's share of what the available ones weigh together. Equal weights are better
/// served in turn, so they are.
pub(super) struct Weighted;

impl Strategy for Weighted {
    fn name(&self) -> &'static str {
        "weighted"
    }

    fn choose(&self, tier: &Tier, view: &View<'_>, random: u64) -> Option<usize> {
        if tier.is_even() { tier.rotate(view, random) } else { tier.draw(view, &mut Draws::new(random)) }
    }
}
