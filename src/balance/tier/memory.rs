//! What a tier remembers about the availability of its candidates, and how one is selected by it.

use super::{Candidate, Tier, View};
use std::ops::Range;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Candidates in a block: the bits of a word.
pub(super) const BLOCK: usize = 64;
/// Candidates selected from memory before all are asked anew, and afterwards (more, for another thread may still be asking).
const SELECTIONS: [usize; 2] = [8, 64];
/// After all were asked and none was available, they are not all asked again for this long, in milliseconds.
pub(super) const ASK_ALL_EVERY_MS: u64 = 20;

/// Up to 64 neighbours. Sums follow from the bits by differences, so that they are right as soon as all writers are done.
#[derive(Debug)]
pub(super) struct Block {
    /// 1: found unavailable.
    pub(super) down: AtomicU64,
    /// Weights of the others.
    pub(super) weight: AtomicI64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) blocks: Vec<Block>,
    /// Bits set in all blocks.
    pub(super) down_count: AtomicI64,
    /// The block that is asked anew next, and when the last one was.
    refresh_next: AtomicU64,
    refreshed_at_ms: AtomicU64,
    asked_all_at_ms: AtomicU64,
}

impl Memory {
    /// Of candidates that are all available until found otherwise.
    pub(super) fn new(candidates: &[Candidate]) -> Self {
        let block = |block: &[Candidate]| Block {
            down: AtomicU64::new(0),
            weight: AtomicI64::new(block.iter().map(|candidate| i64::from(candidate.weight)).sum()),
        };
        Self {
            blocks: candidates.chunks(BLOCK).map(block).collect(),
            down_count: AtomicI64::new(0),
            refresh_next: AtomicU64::new(0),
            refreshed_at_ms: AtomicU64::new(0),
            asked_all_at_ms: AtomicU64::new(0),
        }
    }

    /// Nothing is remembered as unavailable.
    pub(super) fn is_clear(&self) -> bool {
        self.down_count.load(Relaxed) == 0
    }
}

/// How candidates are counted when one is selected from memory.
#[derive(Clone, Copy)]
pub(super) enum Measure {
    Weight,
    Number,
}

/// What memory offered.
pub(super) enum Selected {
    One(usize),
    /// Nothing there is both untried and, as far as remembered, available.
    Nothing,
    /// Others changed the sums meanwhile.
    Raced,
}

impl Tier {
    /// Before a choice: brings the memory up to date, a little.
    pub(in crate::balance) fn prepare(&self, now_ms: u64) {
        if self.is_small() {
            self.refresh(0, now_ms);
        } else if !self.memory.is_clear() {
            let last_ms = self.memory.refreshed_at_ms.load(Relaxed);
            let due = last_ms != now_ms;
            if due && self.memory.refreshed_at_ms.compare_exchange(last_ms, now_ms, Relaxed, Relaxed).is_ok() {
                let next = self.memory.refresh_next.fetch_add(1, Relaxed) as usize % self.memory.blocks.len();
                self.refresh(next, now_ms);
            }
        }
    }

    pub(super) fn is_small(&self) -> bool {
        self.memory.blocks.len() == 1
    }

    /// Selects from memory until what is selected is really available.
    pub(super) fn settle(&self, view: &View<'_>, mut select: impl FnMut(&Self) -> Selected) -> Option<usize> {
        for selections in SELECTIONS {
            for _ in 0..selections {
                match select(self) {
                    Selected::One(index) if self.ask(index, view.now_ms) => return Some(index),
                    Selected::One(_) | Selected::Raced => {}
                    Selected::Nothing => break,
                }
            }
            self.ask_all(view.now_ms);
        }
        None
    }

    /// The candidate at a point of the available, untried ones of a range, measured by weight or number. `point` is given
    /// their total, which is not 0, and answers a number below it.
    pub(super) fn select(
        &self,
        measure: Measure,
        range: &Range<usize>,
        view: &View<'_>,
        mut point: impl FnMut(u64) -> u64,
    ) -> Selected {
        let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
        let total: u64 = blocks.clone().map(|block| self.measured(measure, block, range, view)).sum();
        if total == 0 {
            return match measure {
                Measure::Weight => self.select(Measure::Number, range, view, point),
                Measure::Number => Selected::Nothing,
            };
        }
        let mut left = point(total);
        for block in blocks {
            let here = self.measured(measure, block, range, view);
            match left.checked_sub(here) {
                Some(rest) => left = rest,
                None => return self.select_in(measure, block, range, view, left),
            }
        }
        Selected::Raced
    }

    /// The first of the available, untried ones.
    pub(super) fn first(&self, view: &View<'_>) -> Selected {
        let all = 0..self.candidates.len();
        let free = (0..self.memory.blocks.len()).map(|block| (block, self.free_bits(block, &all, view)));
        let found = free.into_iter().find(|(_, bits)| *bits != 0);
        found.map_or(Selected::Nothing, |(block, bits)| Selected::One(block * BLOCK + bits.trailing_zeros() as usize))
    }

    fn select_in(
        &self,
        measure: Measure,
        block: usize,
        range: &Range<usize>,
        view: &View<'_>,
        mut left: u64,
    ) -> Selected {
        let mut free = self.free_bits(block, range, view);
        while free != 0 {
            let index = block * BLOCK + free.trailing_zeros() as usize;
            let share = match measure {
                Measure::Weight => u64::from(self.candidates[index].weight),
                Measure::Number => 1,
            };
            match left.checked_sub(share) {
                None => return Selected::One(index),
                Some(rest) => left = rest,
            }
            free &= free - 1;
        }
        Selected::Raced
    }

    /// What a block's available, untried candidates of the range come to.
    fn measured(&self, measure: Measure, block: usize, range: &Range<usize>, view: &View<'_>) -> u64 {
        let whole = range.start <= block * BLOCK && self.block_end(block) <= range.end;
        match measure {
            Measure::Number => u64::from(self.free_bits(block, range, view).count_ones()),
            Measure::Weight if whole && view.tried.bits_in(view.tier, block) == 0 => {
                u64::try_from(self.memory.blocks[block].weight.load(Relaxed)).unwrap_or(0)
            }
            Measure::Weight => u64::try_from(self.weight_of(block, self.free_bits(block, range, view))).unwrap_or(0),
        }
    }

    pub(super) fn block_end(&self, block: usize) -> usize {
        ((block + 1) * BLOCK).min(self.candidates.len())
    }

    fn free_bits(&self, block: usize, range: &Range<usize>, view: &View<'_>) -> u64 {
        let start = block * BLOCK;
        let from = range.start.saturating_sub(start).min(BLOCK);
        let to = (range.end.min(self.block_end(block)) - start).min(BLOCK);
        if from >= to {
            return 0;
        }
        let window = (u64::MAX >> (BLOCK - to)) & (u64::MAX << from);
        window & !self.memory.blocks[block].down.load(Relaxed) & !view.tried.bits_in(view.tier, block)
    }

    pub(super) fn weight_of(&self, block: usize, mut bits: u64) -> i64 {
        let mut weight = 0;
        while bits != 0 {
            weight += i64::from(self.candidates[block * BLOCK + bits.trailing_zeros() as usize].weight);
            bits &= bits - 1;
        }
        weight
    }

    /// Asks a candidate's breakers, and remembers the answer.
    pub(super) fn ask(&self, index: usize, now_ms: u64) -> bool {
        let available = self.candidates[index].breakers.available(now_ms);
        let (block, bit) = (index / BLOCK, 1u64 << (index % BLOCK));
        let down = &self.memory.blocks[block].down;
        let remembered = down.load(Relaxed) & bit == 0;
        if available != remembered {
            let old = if available { down.fetch_and(!bit, Relaxed) } else { down.fetch_or(bit, Relaxed) };
            self.account(block, old, if available { old & !bit } else { old | bit });
        }
        available
    }

    /// Asks all breakers of a block.
    fn refresh(&self, block: usize, now_ms: u64) {
        let start = block * BLOCK;
        let candidates = &self.candidates[start..self.block_end(block)];
        let bit = |at: usize, candidate: &Candidate| u64::from(!candidate.breakers.available(now_ms)) << at;
        let down = candidates.iter().enumerate().fold(0, |bits, (at, candidate)| bits | bit(at, candidate));
        if self.memory.blocks[block].down.load(Relaxed) != down {
            let old = self.memory.blocks[block].down.swap(down, Relaxed);
            self.account(block, old, down);
        }
    }

    /// Asks all breakers, unless these are many and that was just done.
    fn ask_all(&self, now_ms: u64) {
        if self.is_small() {
            return self.refresh(0, now_ms);
        }
        let last_ms = self.memory.asked_all_at_ms.load(Relaxed);
        let fresh = last_ms != 0 && now_ms.abs_diff(last_ms) < ASK_ALL_EVERY_MS;
        if !fresh && self.memory.asked_all_at_ms.compare_exchange(last_ms, now_ms.max(1), Relaxed, Relaxed).is_ok() {
            (0..self.memory.blocks.len()).for_each(|block| self.refresh(block, now_ms));
        }
    }

    /// Follows a change of a block's bits. Every change of bits tells what was before, so the differences add up.
    fn account(&self, block: usize, old: u64, new: u64) {
        let (fallen, risen) = (new & !old, old & !new);
        self.memory.blocks[block]
            .weight
            .fetch_add(self.weight_of(block, risen) - self.weight_of(block, fallen), Relaxed);
        self.memory.down_count.fetch_add(i64::from(fallen.count_ones()) - i64::from(risen.count_ones()), Relaxed);
    }
}
