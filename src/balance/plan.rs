//! What one model resolves to for one group, and the choice of a candidate for one attempt.

use super::breakers::Permits;
use super::draws::Draws;
use super::strategy::Strategy;
use super::tier::{Candidate, Rank, Tier, View};
use std::collections::BTreeMap;

/// The most attempts that one request can remember, and so can make.
pub const TRIED_MAX: usize = 16;
/// What looking at candidates of one tier that then cannot be used may come to, by [`Refused::weight`], before the tier is passed over: of
/// many that are alike, the others would say the same.
const REFUSED_WEIGHT_MAX: u32 = 256;
/// Candidates of a tier whose refusals share a word.
const REFUSED_BLOCK: u32 = u64::BITS;
/// Choices in one tier for one attempt, when others take the probes of half-open breakers first.
const CHOICES: usize = 8;
/// The most candidates of a tier that are asked how long to wait.
const WAITS_MAX: usize = 256;
/// What a client is told to wait when something is available, only not to this request, in milliseconds.
const WAIT_MS: u64 = 1_000;

/// The candidates of one (group, model), in tiers.
#[derive(Debug, Default)]
pub struct Plan {
    /// Ascending by rank; none is empty.
    pub tiers: Vec<Tier>,
}

/// A candidate chosen for one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Index into [`Plan::tiers`].
    pub tier: u32,
    /// Index into that tier's candidates.
    pub index: u32,
    /// To be handed to the candidate's breakers with how the attempt went.
    pub permits: Permits,
}

/// Why a candidate that was chosen was not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is at a limit, which took a look.
    Limit,
    /// The request cannot be written for it, which took writing.
    Writing,
}

impl Refused {
    /// What finding out costs, beside a look.
    fn weight(self) -> u32 {
        match self {
            Self::Limit => 1,
            Self::Writing => 16,
        }
    }
}

/// The candidates that one request has tried already, and those that were chosen and could not be tried.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    items: [(u32, u32); TRIED_MAX],
    len: usize,
    /// Those that could not be tried, as bits, by tier and block of [`REFUSED_BLOCK`]. They take no place of an attempt's.
    refused: BTreeMap<(u32, u32), u64>,
    /// What they come to, by tier.
    refused_weights: BTreeMap<u32, u32>,
}

impl Tried {
    /// Remembers an attempt. A full set stays as it is: then [`Plan::pick`] finds nothing more.
    pub fn insert(&mut self, pick: &Pick) {
        if !self.is_full() && !self.contains(pick.tier, pick.index) {
            self.items[self.len] = (pick.tier, pick.index);
            self.len += 1;
        }
    }

    /// It was no attempt after all: the candidate could not be used, and is not chosen again.
    pub fn refuse(&mut self, pick: &Pick, refused: Refused) {
        let place = (pick.tier, pick.index);
        if let Some(at) = self.items[..self.len].iter().position(|item| *item == place) {
            self.items.copy_within(at + 1..self.len, at);
            self.len -= 1;
        }
        let block = self.refused.entry((pick.tier, pick.index / REFUSED_BLOCK)).or_default();
        *block |= 1 << (pick.index % REFUSED_BLOCK);
        let weight = self.refused_weights.entry(pick.tier).or_default();
        *weight = weight.saturating_add(refused.weight());
    }

    /// How many were tried.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing was tried yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// No further attempt can be remembered.
    pub fn is_full(&self) -> bool {
        self.len == TRIED_MAX
    }

    /// Nothing of this tier was chosen yet.
    pub(super) fn has_none_of(&self, tier: u32) -> bool {
        !self.refused_weights.contains_key(&tier) && !self.items[..self.len].iter().any(|item| item.0 == tier)
    }

    /// Enough of this tier was refused.
    fn is_passed_over(&self, tier: u32) -> bool {
        self.refused_weights.get(&tier).is_some_and(|weight| *weight >= REFUSED_WEIGHT_MAX)
    }

    pub(super) fn contains(&self, tier: u32, index: u32) -> bool {
        let refused = self.refused_in(tier, index / REFUSED_BLOCK);
        refused >> (index % REFUSED_BLOCK) & 1 == 1 || self.items[..self.len].contains(&(tier, index))
    }

    /// The tried and refused ones of a block of 64 candidates, as bits.
    pub(super) fn bits_in(&self, tier: u32, block: usize) -> u64 {
        let start = block * REFUSED_BLOCK as usize;
        let bit = |index: u32| (index as usize).checked_sub(start).filter(|at| *at < 64).map_or(0, |at| 1u64 << at);
        let here = self.items[..self.len].iter().filter(|item| item.0 == tier);
        here.fold(self.refused_in(tier, block as u32), |bits, item| bits | bit(item.1))
    }

    fn refused_in(&self, tier: u32, block: u32) -> u64 {
        self.refused.get(&(tier, block)).copied().unwrap_or(0)
    }
}

impl Plan {
    /// Sorts candidates, each with its upstream's priority, into tiers.
    pub fn new(candidates: impl IntoIterator<Item = (u32, Candidate)>) -> Self {
        let ranked = candidates.into_iter().map(|(priority, candidate)| (Rank::of(priority, &candidate), candidate));
        let mut candidates: Vec<(Rank, Candidate)> = ranked.collect();
        candidates.sort_by_key(|(rank, _)| *rank);
        let mut tiers: Vec<(Rank, Vec<Candidate>)> = Vec::new();
        for (rank, candidate) in candidates {
            match tiers.last_mut() {
                Some((last, members)) if *last == rank => members.push(candidate),
                _ => tiers.push((rank, vec![candidate])),
            }
        }
        Self { tiers: tiers.into_iter().map(|(rank, members)| Tier::new(rank, members)).collect() }
    }

    /// No candidate at all.
    pub fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// The candidate of a pick of this plan; none if the pick is another plan's.
    pub fn candidate(&self, pick: &Pick) -> Option<&Candidate> {
        self.tiers.get(pick.tier as usize)?.candidates.get(pick.index as usize)
    }

    /// Every candidate, the first tier's first.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.tiers.iter().flat_map(|tier| &tier.candidates)
    }

    /// Chooses a candidate for the next attempt, in the first tier that has one both untried and available, and takes its
    /// breakers' permits. `random` is any number that is new each time. None: nothing is left, or [`TRIED_MAX`] is reached.
    pub fn pick(&self, strategy: &dyn Strategy, tried: &Tried, now_ms: u64, random: u64) -> Option<Pick> {
        if tried.is_full() {
            return None;
        }
        let mut draws = Draws::new(random);
        let tiers = (0u32..).zip(&self.tiers).filter(|(place, _)| !tried.is_passed_over(*place));
        for (place, tier) in tiers {
            let view = View { tier: place, tried, now_ms };
            for _ in 0..CHOICES {
                tier.prepare(now_ms);
                let Some(index) = strategy.choose(tier, &view, draws.next_u64()) else { break };
                // None: another request took the probe since.
                if let Some(permits) = tier.candidates[index].breakers.try_acquire(now_ms) {
                    return Some(Pick { tier: place, index: index as u32, permits });
                }
            }
        }
        None
    }

    /// How long a client should wait when [`Self::pick`] finds nothing, in milliseconds, at least 1: until the first of the
    /// candidates (of the first 256 of a tier) is let through again.
    pub fn retry_after_ms(&self, now_ms: u64) -> u64 {
        self.wait_ms(now_ms, |_| true)
    }

    /// The same where those that would be let through are no use: until the first of the others is.
    pub fn breakers_wait_ms(&self, now_ms: u64) -> u64 {
        self.wait_ms(now_ms, |candidate| !candidate.breakers.available(now_ms))
    }

    fn wait_ms(&self, now_ms: u64, is_waited_for: impl Fn(&Candidate) -> bool) -> u64 {
        let asked = self.tiers.iter().flat_map(|tier| tier.candidates.iter().take(WAITS_MAX));
        let waits = asked.filter(|candidate| is_waited_for(candidate)).map(|one| one.breakers.wait_ms(now_ms));
        match waits.min() {
            None | Some(0) => WAIT_MS,
            Some(wait_ms) => wait_ms,
        }
    }
}

#[cfg(test)]
mod tests;
