//! Healthy first, then cheap, then fast.

use super::draws::Draws;
use super::strategy::Strategy;
use super::tier::{Tier, View};

/// How far below the best success rate a candidate may be, in thousandths.
const HEALTHY_PER_MILLE: u64 = 100;
/// How much slower than the fastest a candidate may be: one part in so many.
const SLOWER_ONE_IN: u64 = 4;
/// One in so many requests goes by weight instead, so that every average is renewed.
const EXPLORE_ONE_IN: u64 = 20;

/// Of the available candidates: those whose success rate is within 10 points of the best; of these the cheapest; of these
/// those within a quarter of the lowest latency (one never measured counts as fast); among what is left, and for one request
/// in 20, by weight. Of a tier with more than 32 candidates, a sample drawn by weight is compared.
pub(super) struct Layered;

impl Strategy for Layered {
    fn name(&self) -> &'static str {
        "layered"
    }

    fn choose(&self, tier: &Tier, view: &View<'_>, random: u64) -> Option<usize> {
        let mut draws = Draws::new(random);
        if draws.below(EXPLORE_ONE_IN) == 0 {
            return tier.draw(view, &mut draws);
        }
        let mut list = tier.shortlist(view, &mut draws);
        let per_mille = |index: usize| tier.candidates[index].observed.success_per_mille();
        let rank = |index: usize| tier.candidates[index].cost_rank;
        let latency_ms = |index: usize| tier.candidates[index].observed.latency_ms().unwrap_or(0);

        let healthiest = list.iter().map(per_mille).max()?;
        list.retain(|index| per_mille(index) + HEALTHY_PER_MILLE >= healthiest);
        let cheapest = list.iter().map(rank).min()?;
        list.retain(|index| rank(index) == cheapest);
        let fastest = list.iter().map(latency_ms).filter(|ms| *ms > 0).min().unwrap_or(0);
        list.retain(|index| latency_ms(index) <= fastest + fastest / SLOWER_ONE_IN);
        tier.draw_from(&list, &mut draws)
    }
}
