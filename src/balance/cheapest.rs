//! The one with the lowest price.

use super::draws::Draws;
use super::strategy::Strategy;
use super::tier::{Tier, View};

/// The available candidates of the lowest cost rank; among several, by weight.
pub(super) struct Cheapest;

impl Strategy for Cheapest {
    fn name(&self) -> &'static str {
        "cheapest"
    }

    fn choose(&self, tier: &Tier, view: &View<'_>, random: u64) -> Option<usize> {
        let range = tier.cheapest_range(view)?;
        tier.draw_in(range, view, &mut Draws::new(random))
    }
}
