//! The one that answered fastest lately.

use super::strategy::Strategy;
use super::tier::{Tier, View};

/// The lowest average latency; a candidate never measured comes first ([`Tier::compare`]).
pub(super) struct LeastLatency;

impl Strategy for LeastLatency {
    fn name(&self) -> &'static str {
        "least_latency"
    }

    fn choose(&self, tier: &Tier, view: &View<'_>, random: u64) -> Option<usize> {
        tier.compare(view, random, |list| {
            list.keep_lowest(|candidate| Some(candidate.observed.latency_ms().unwrap_or(0)), |fastest| fastest);
        })
    }
}
