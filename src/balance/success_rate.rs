//! The one that failed least lately.

use super::draws::Draws;
use super::strategy::Strategy;
use super::tier::{Tier, View};

/// Success rates closer than this are equal, in thousandths: one failure among many is no verdict.
const EQUAL_PER_MILLE: u64 = 40;
/// One in so many requests goes by weight instead, so that a candidate that recovered can show it.
const EXPLORE_ONE_IN: u64 = 20;

/// The highest average success rate. Rates within 4 points of it, and one request in 20, go by weight. Of a tier with more
/// than 32 candidates, a sample drawn by weight is compared.
pub(super) struct SuccessRate;

impl Strategy for SuccessRate {
    fn name(&self) -> &'static str {
        "success_rate"
    }

    fn choose(&self, tier: &Tier, view: &View<'_>, random: u64) -> Option<usize> {
        let mut draws = Draws::new(random);
        if draws.below(EXPLORE_ONE_IN) == 0 {
            return tier.draw(view, &mut draws);
        }
        let mut list = tier.shortlist(view, &mut draws);
        let per_mille = |index: usize| tier.candidates[index].observed.success_per_mille();
        let best = list.iter().map(per_mille).max()?;
        list.retain(|index| per_mille(index) + EQUAL_PER_MILLE >= best);
        tier.draw_from(&list, &mut draws)
    }
}
