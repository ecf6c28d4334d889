//! The one that answered fastest lately.

use super::draws::Draws;
use super::strategy::Strategy;
use super::tier::{Tier, View};

/// One in so many requests goes by weight instead, so that the averages of the others do not stay what they once were.
const EXPLORE_ONE_IN: u64 = 20;

/// The lowest average latency; a candidate never measured comes first. Ties, and one request in 20, go by weight. Of a tier
/// with more than 32 candidates, a sample drawn by weight is compared.
pub(super) struct LeastLatency;

impl Strategy for LeastLatency {
    fn name(&self) -> &'static str {
        "least_latency"
    }

    fn choose(&self, tier: &Tier, view: &View<'_>, random: u64) -> Option<usize> {
        let mut draws = Draws::new(random);
        if draws.below(EXPLORE_ONE_IN) == 0 {
            return tier.draw(view, &mut draws);
        }
        let mut list = tier.shortlist(view, &mut draws);
        let latency_ms = |index: usize| tier.candidates[index].observed.latency_ms().unwrap_or(0);
        let best = list.iter().map(latency_ms).min()?;
        list.retain(|index| latency_ms(index) == best);
        tier.draw_from(&list, &mut draws)
    }
}
