//! Several random numbers out of the one that a caller gives.

/// A short sequence of random numbers (SplitMix64) from one seed. Not for secrets.
#[derive(Clone, Debug)]
pub struct Draws {
    state: u64,
}

impl Draws {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, 0 if that is 0. Even to one part in 2^64 / `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::Draws;

    #[test]
    fn numbers_below_a_bound_are_even() {
        let mut draws = Draws::new(7);
        let mut hits = [0u32; 5];
        for _ in 0..50_000 {
            hits[draws.below(5) as usize] += 1;
        }
        // 10,000 each; the standard deviation is 89.
        assert!(hits.iter().all(|n| n.abs_diff(10_000) < 500), "{hits:?}");
        assert_eq!(draws.below(0), 0);
        assert_eq!(draws.below(1), 0);
    }

    #[test]
    fn one_seed_one_sequence() {
        let take = |seed| {
            let mut draws = Draws::new(seed);
            [draws.next_u64(), draws.next_u64()]
        };
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
    }
}
