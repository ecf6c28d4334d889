//! How a strategy compares candidates: which ones, by which criteria, and how often it does not.

use super::{Candidate, Tier, View};
use crate::balance::draws::Draws;

/// One in so many requests goes by weight instead, so that every average is renewed: a candidate that recovered can show it,
/// and the others' do not stay what they once were.
const EXPLORE_ONE_IN: u64 = 20;
/// The most candidates that are compared.
const SHORTLIST_MAX: usize = 32;
/// Of a tier with more candidates than that, as many available ones are compared, drawn in at most so many draws.
const SAMPLED: usize = 8;
const SAMPLE_DRAWS: usize = 12;

/// Candidates picked out to be compared, without allocation. Each criterion leaves some of them; none leaves nobody.
#[derive(Clone, Debug)]
pub struct Shortlist<'t> {
    candidates: &'t [Candidate],
    items: [u32; SHORTLIST_MAX],
    len: usize,
}

impl<'t> Shortlist<'t> {
    fn new(candidates: &'t [Candidate]) -> Self {
        Self { candidates, items: [0; SHORTLIST_MAX], len: 0 }
    }

    /// Leaves those with the highest value, and those at most `within` below it.
    pub fn keep_highest(&mut self, value: impl Fn(&Candidate) -> u64, within: u64) {
        let values = self.values(value);
        let Some(highest) = values[..self.len].iter().max() else { return };
        self.retain(|at| values[at] + within >= *highest);
    }

    /// Leaves those with the lowest value, those up to what `bound` makes of it, and those that have none.
    pub fn keep_lowest(&mut self, value: impl Fn(&Candidate) -> Option<u64>, bound: impl Fn(u64) -> u64) {
        let values = self.values(value);
        let Some(lowest) = values[..self.len].iter().flatten().min() else { return };
        let bound = bound(*lowest);
        self.retain(|at| values[at].is_none_or(|value| value <= bound));
    }

    /// Each candidate's value, read once: other requests change it meanwhile, and who had the best one must pass.
    fn values<V: Copy + Default>(&self, value: impl Fn(&Candidate) -> V) -> [V; SHORTLIST_MAX] {
        let mut values = [V::default(); SHORTLIST_MAX];
        for (own, (_, candidate)) in values.iter_mut().zip(self.iter()) {
            *own = value(candidate);
        }
        values
    }

    /// Each with its index in [`Tier::candidates`].
    fn iter(&self) -> impl Iterator<Item = (usize, &'t Candidate)> + '_ {
        self.items[..self.len].iter().map(|item| (*item as usize, &self.candidates[*item as usize]))
    }

    /// Leaves those whose place passes.
    fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut kept = 0;
        for at in 0..self.len {
            if keep(at) {
                self.items[kept] = self.items[at];
                kept += 1;
            }
        }
        self.len = kept;
    }

    fn push(&mut self, index: usize) {
        if self.len < SHORTLIST_MAX && !self.iter().any(|(present, _)| present == index) {
            self.items[self.len] = index as u32;
            self.len += 1;
        }
    }

    /// One at random, by weight (evenly if all weigh nothing).
    fn draw(&self, draws: &mut Draws) -> Option<usize> {
        let total: u64 = self.iter().map(|(_, candidate)| u64::from(candidate.weight)).sum();
        if total == 0 {
            return self.iter().nth(draws.below(self.len as u64) as usize).map(|(index, _)| index);
        }
        let mut point = draws.below(total);
        let found = self.iter().find(|(_, candidate)| match point.checked_sub(u64::from(candidate.weight)) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        });
        found.map(|(index, _)| index)
    }
}

impl Tier {
    /// The available candidate that these criteria leave; among several, and for one request in 20, by weight. Of a tier with
    /// more than 32 candidates, a sample drawn by weight is compared.
    pub fn compare(&self, view: &View<'_>, random: u64, criteria: impl FnOnce(&mut Shortlist<'_>)) -> Option<usize> {
        let mut draws = Draws::new(random);
        if draws.below(EXPLORE_ONE_IN) == 0 {
            return self.draw(view, &mut draws);
        }
        let mut list = self.shortlist(view, &mut draws);
        criteria(&mut list);
        list.draw(&mut draws)
    }

    /// Available candidates to compare: all of a tier of up to 32, some of a larger one, drawn by weight.
    fn shortlist(&self, view: &View<'_>, draws: &mut Draws) -> Shortlist<'_> {
        let mut list = Shortlist::new(&self.candidates);
        let all = 0..self.candidates.len();
        if all.len() <= SHORTLIST_MAX {
            all.filter(|index| self.is_free(*index, view)).for_each(|index| list.push(index));
            return list;
        }
        for _ in 0..SAMPLE_DRAWS {
            match self.sample(&all, draws) {
                Some(index) if list.len < SAMPLED && self.is_free(index, view) => list.push(index),
                Some(_) => {}
                None => break,
            }
        }
        if list.len == 0
            && let Some(index) = self.draw(view, draws)
        {
            list.push(index);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::breakers::CandidateBreakers;
    use std::cell::Cell;
    use std::sync::Arc;

    /// Of candidates with these weights, the weights of those that a criterion leaves.
    fn left(weights: &[u32], criterion: impl FnOnce(&mut Shortlist<'_>)) -> Vec<u32> {
        let candidates: Vec<Candidate> = (0..)
            .zip(weights)
            .map(|(upstream, weight)| Candidate {
                upstream,
                upstream_model: Arc::from("m"),
                weight: *weight,
                is_translated: false,
                cost_rank: 0,
                breakers: CandidateBreakers::new(Arc::default(), Arc::default()),
                observed: Arc::default(),
            })
            .collect();
        let mut list = Shortlist::new(&candidates);
        (0..candidates.len()).for_each(|index| list.push(index));
        criterion(&mut list);
        list.iter().map(|(_, candidate)| candidate.weight).collect()
    }

    #[test]
    fn a_criterion_leaves_the_best_and_what_is_near_it() {
        let value = |candidate: &Candidate| u64::from(candidate.weight);
        assert_eq!(left(&[70, 100, 90, 89], |list| list.keep_highest(value, 10)), [100, 90]);
        assert_eq!(left(&[3, 5], |list| list.keep_highest(value, 10)), [3, 5]);
        assert!(left(&[], |list| list.keep_highest(value, 10)).is_empty());
        let known = |candidate: &Candidate| Some(value(candidate)).filter(|value| *value > 0);
        assert_eq!(left(&[8, 0, 11, 10], |list| list.keep_lowest(known, |lowest| lowest + lowest / 4)), [8, 0, 10]);
        assert_eq!(left(&[0, 0], |list| list.keep_lowest(known, |lowest| lowest)), [0, 0]);
        assert!(left(&[], |list| list.keep_lowest(known, |lowest| lowest)).is_empty());
    }

    /// Averages move while they are compared.
    #[test]
    fn a_criterion_leaves_somebody_whatever_happens_to_the_values() {
        let reads = Cell::new(0);
        let moving = |_: &Candidate| {
            reads.set(reads.get() + 1);
            reads.get()
        };
        assert_eq!(left(&[1, 2], |list| list.keep_lowest(|candidate| Some(moving(candidate)), |lowest| lowest)), [1]);
        let falling = |candidate: &Candidate| 1_000 - moving(candidate);
        assert_eq!(left(&[1, 2], |list| list.keep_highest(falling, 0)), [1]);
    }
}
