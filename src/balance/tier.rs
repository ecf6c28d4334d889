//! The candidates of one rank, and how one of them is found fast although some are unavailable.
//!
//! What counts is each candidate's breakers, asked when it is about to be chosen. A tier of up to 64 candidates asks all of
//! them every time. A larger one draws a few at random and takes the first that is available, which is nearly always the
//! first. Only when all draws miss does it use what it remembers: a bit for each candidate found unavailable, in blocks of
//! 64 with the sum of the weights of the others. So 10,000 candidates are 157 sums and one block. The memory heals itself:
//! whoever finds a bit wrong corrects it, and one block is asked anew in a millisecond at most.

mod memory;
mod shortlist;
#[cfg(test)]
mod tests;

use self::memory::{Measure, Memory};
use super::breakers::CandidateBreakers;
use super::draws::Draws;
use super::observed::Observed;
use super::plan::Tried;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use self::shortlist::Shortlist;

/// Draws before the memory is used.
const DRAWS: usize = 6;

/// One upstream as it can serve one model.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its index in the snapshot's upstreams.
    pub upstream: u32,
    /// The model's name there.
    pub upstream_model: Arc<str>,
    /// Its share of the requests, relative to the others of its tier. 0: it is in another one, behind them.
    pub weight: u32,
    /// It gets the request in another dialect than the client's.
    pub is_translated: bool,
    /// Its place by price among the plan's candidates, cheapest first; equal numbers: equally dear (or unknown).
    pub cost_rank: u32,
    /// Whether it is let through; they live longer than a configuration.
    pub breakers: CandidateBreakers,
    /// How it has done lately; lives longer than a configuration.
    pub observed: Arc<Observed>,
}

/// What a choice depends on besides the tier.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The tier's place in its plan.
    pub tier: u32,
    /// What this request has tried already.
    pub tried: &'a Tried,
    /// The time, as breakers count it.
    pub now_ms: u64,
}

/// What a tier's candidates have in common. The least is tried first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// That of their upstreams.
    pub priority: u32,
    /// Their weight is 0: an operator wants requests to go there only if they can go nowhere else, whatever the strategy.
    pub is_last: bool,
    /// They get the request in another dialect than the client's.
    pub is_translated: bool,
}

impl Rank {
    /// Of a candidate whose upstream has this priority.
    pub(super) fn of(priority: u32, candidate: &Candidate) -> Self {
        Self { priority, is_last: candidate.weight == 0, is_translated: candidate.is_translated }
    }
}

/// Candidates of one rank. The order is by cost rank.
#[derive(Debug)]
pub struct Tier {
    /// Its place among the others.
    pub rank: Rank,
    /// Never empty.
    pub candidates: Vec<Candidate>,
    /// Where each candidate's share of the weights ends.
    ends: Vec<u64>,
    /// All weights are equal (or 0): draws are by position.
    even: bool,
    /// Turns taken so far.
    cursor: AtomicU64,
    memory: Memory,
}

impl Tier {
    pub(super) fn new(rank: Rank, mut candidates: Vec<Candidate>) -> Self {
        candidates.sort_by_key(|candidate| candidate.cost_rank);
        let mut end = 0u64;
        let ends = candidates.iter().map(|candidate| {
            end += u64::from(candidate.weight);
            end
        });
        let ends = ends.collect();
        Self {
            rank,
            ends,
            even: candidates.windows(2).all(|pair| pair[0].weight == pair[1].weight),
            cursor: AtomicU64::new(0),
            memory: Memory::new(&candidates),
            candidates,
        }
    }

    /// All weights are equal, or all are 0.
    pub fn is_even(&self) -> bool {
        self.even
    }

    /// An available candidate at random, by weight.
    pub fn draw(&self, view: &View<'_>, draws: &mut Draws) -> Option<usize> {
        self.draw_in(0..self.candidates.len(), view, draws)
    }

    /// The same among the candidates of a range.
    pub(super) fn draw_in(&self, range: Range<usize>, view: &View<'_>, draws: &mut Draws) -> Option<usize> {
        if !self.is_small() {
            for _ in 0..DRAWS {
                let Some(index) = self.sample(&range, draws) else { break };
                if self.is_free(index, view) {
                    return Some(index);
                }
            }
        }
        let measure = if self.even { Measure::Number } else { Measure::Weight };
        self.settle(view, |tier| tier.select(measure, &range, view, |total| draws.below(total)))
    }

    /// The available candidates in turn. A request that has chosen in this tier before takes any of the others at random: turns are
    /// shared by all, and one that takes two of them takes its neighbour's, so that the shares would not be equal.
    pub fn rotate(&self, view: &View<'_>, random: u64) -> Option<usize> {
        let all = 0..self.candidates.len();
        if !view.tried.has_none_of(view.tier) {
            let mut draws = Draws::new(random);
            return self.settle(view, |tier| tier.select(Measure::Number, &all, view, |total| draws.below(total)));
        }
        let turn = self.cursor.fetch_add(1, Relaxed);
        if self.memory.is_clear() {
            // The same answer without sums.
            let index = (turn % all.len() as u64) as usize;
            if self.ask(index, view.now_ms) {
                return Some(index);
            }
        }
        self.settle(view, |tier| tier.select(Measure::Number, &all, view, |total| turn % total))
    }

    /// The available candidates whose cost rank is the lowest: their range (others may be among them).
    pub(super) fn cheapest_range(&self, view: &View<'_>) -> Option<Range<usize>> {
        let first = self.settle(view, |tier| tier.first(view))?;
        let rank = self.candidates[first].cost_rank;
        let start = self.candidates.partition_point(|candidate| candidate.cost_rank < rank);
        let end = self.candidates.partition_point(|candidate| candidate.cost_rank <= rank);
        Some(start..end)
    }

    /// Whether a candidate is untried and its breakers let it through.
    pub fn is_free(&self, index: usize, view: &View<'_>) -> bool {
        !view.tried.contains(view.tier, index as u32) && self.ask(index, view.now_ms)
    }

    /// A candidate of the range by weight, available or not; none if nothing there has a weight.
    fn sample(&self, range: &Range<usize>, draws: &mut Draws) -> Option<usize> {
        if self.even {
            return Some(range.start + draws.below(range.len() as u64) as usize);
        }
        let start = range.start.checked_sub(1).map_or(0, |before| self.ends[before]);
        let end = self.ends[range.end - 1];
        let point = start + draws.below(end - start);
        (end > start).then(|| range.start + self.ends[range.clone()].partition_point(|end| *end <= point))
    }
}
