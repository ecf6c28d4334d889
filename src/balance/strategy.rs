//! The strategies: how a candidate is chosen among those available in a tier.

use super::tier::{Tier, View};
use super::{
    cheapest::Cheapest, layered::Layered, least_latency::LeastLatency, round_robin::RoundRobin,
    success_rate::SuccessRate, weighted::Weighted,
};

/// A way to choose. It has no state of its own: what it goes by is in the tier.
pub trait Strategy: Send + Sync {
    /// Its name in `routing.strategy`.
    fn name(&self) -> &'static str;

    /// The index of an untried candidate whose breakers let it through, or none if there is no such. `random` is new at
    /// each call. Must not allocate or lock.
    fn choose(&self, tier: &Tier, view: &View<'_>, random: u64) -> Option<usize>;
}

/// Every strategy.
pub static STRATEGIES: [&dyn Strategy; 6] = [&Weighted, &RoundRobin, &LeastLatency, &SuccessRate, &Cheapest, &Layered];

/// The strategy of this name.
pub fn strategy(name: &str) -> Option<&'static dyn Strategy> {
    STRATEGIES.into_iter().find(|strategy| strategy.name() == name)
}

#[cfg(test)]
mod tests;
