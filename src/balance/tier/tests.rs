use super::memory::{ASK_ALL_EVERY_MS, BLOCK};
use super::*;
use crate::balance::{BreakerPolicy, Failure, Rank, Refused, Tried, UpstreamBreakers};
use proptest::prelude::*;

/// Breakers of these tests stay open for good once told to.
fn open(candidate: &Candidate) {
    let permit = candidate.breakers.try_acquire(0).expect("closed until now");
    candidate.breakers.failure(permit, 0, Failure::Connect);
}

fn close(candidate: &Candidate, now_ms: u64) {
    let later_ms = now_ms + candidate.breakers.wait_ms(now_ms);
    let probe = candidate.breakers.try_acquire(later_ms).expect("half-open");
    candidate.breakers.success(probe, later_ms);
}

fn candidate(weight: u32) -> Candidate {
    let policy = BreakerPolicy { failures_to_open: 1, open_ms: 1_000_000, ..BreakerPolicy::default() };
    Candidate {
        upstream: 0,
        upstream_model: Arc::from("m"),
        weight,
        is_translated: false,
        cost_rank: 0,
        breakers: UpstreamBreakers::new(["m"].into_iter(), policy, None).of("m"),
        observed: Arc::default(),
    }
}

fn tier(weights: impl IntoIterator<Item = u32>) -> Tier {
    Tier::new(Rank { priority: 0, is_last: false, is_translated: false }, weights.into_iter().map(candidate).collect())
}

fn view(tried: &Tried) -> View<'_> {
    View { tier: 0, tried, now_ms: 0 }
}

/// How often each candidate is drawn.
fn draws_of(tier: &Tier, tried: &Tried, rounds: usize) -> Vec<u64> {
    let mut draws = Draws::new(42);
    let mut hits = vec![0; tier.candidates.len()];
    for _ in 0..rounds {
        tier.prepare(0);
        let index = tier.draw(&view(tried), &mut draws).expect("one is available");
        hits[index] += 1;
    }
    hits
}

/// Whether the hits follow the weights of what is available: Pearson's test, at a level that a right sampler fails once in
/// millions of seeds (these tests have one fixed seed).
fn follows(hits: &[u64], weights: &[u64]) -> bool {
    let total: u64 = weights.iter().sum();
    let rounds: u64 = hits.iter().sum();
    let (mut chi2, mut freedom) = (0.0, -1.0);
    for (hit, weight) in hits.iter().zip(weights) {
        if *weight == 0 {
            if *hit > 0 {
                return false;
            }
            continue;
        }
        let expected = rounds as f64 * *weight as f64 / total as f64;
        chi2 += (*hit as f64 - expected).powi(2) / expected;
        freedom += 1.0;
    }
    chi2 <= freedom + 6.0 * (2.0f64 * freedom).sqrt() + 20.0
}

#[test]
fn eighty_to_twenty_is_eighty_to_twenty() {
    let hits = draws_of(&tier([80, 20]), &Tried::default(), 100_000);
    // The standard deviation of 80,000 is 126.
    assert!(hits[0].abs_diff(80_000) < 700, "{hits:?}");
    assert!(follows(&hits, &[80, 20]) && !follows(&hits, &[78, 22]));
}

#[test]
fn what_is_unavailable_leaves_its_share_to_all_by_weight() {
    let tier = tier([10, 40, 30, 0, 20]);
    open(&tier.candidates[1]);
    assert!(follows(&draws_of(&tier, &Tried::default(), 60_000), &[10, 0, 30, 0, 20]));
    let mut tried = Tried::default();
    tried.insert(&crate::balance::Pick {
        tier: 0,
        index: 2,
        permits: tier.candidates[2].breakers.try_acquire(0).unwrap(),
    });
    assert!(follows(&draws_of(&tier, &tried, 60_000), &[10, 0, 0, 0, 20]));
    // Weight 0 only when nothing else is left.
    [0, 4].iter().for_each(|index| open(&tier.candidates[*index]));
    assert!(follows(&draws_of(&tier, &tried, 100), &[0, 0, 0, 100, 0]));
    open(&tier.candidates[3]);
    tier.prepare(0);
    assert_eq!(tier.draw(&view(&tried), &mut Draws::new(1)), None);
    assert_eq!(tier.draw(&view(&Tried::default()), &mut Draws::new(1)), Some(2));
}

/// The same with more candidates than a block has, by random draws (few down) and by memory (nearly all down).
#[test]
fn large_tiers_follow_the_weights_too() {
    const SIZE: usize = 300;
    let weights: Vec<u32> = (0..SIZE as u32).map(|index| index % 7).collect();
    for keep_one_in in [1, 2, 3, 40] {
        let tier = tier(weights.clone());
        let left = |index: usize| index.is_multiple_of(keep_one_in);
        (0..SIZE).filter(|index| !left(*index)).for_each(|index| open(&tier.candidates[index]));
        let expected: Vec<u64> =
            (0..SIZE).map(|index| if left(index) { u64::from(weights[index]) } else { 0 }).collect();
        let hits = draws_of(&tier, &Tried::default(), 200_000);
        assert!(follows(&hits, &expected), "one in {keep_one_in}: {hits:?}");
    }
}

#[test]
fn turns_are_fair_while_some_are_unavailable() {
    for size in [5, 130] {
        let tier = tier(vec![1; size]);
        let down: Vec<usize> = (0..size).filter(|index| index % 5 == 1 || *index == 3).collect();
        down.iter().for_each(|index| open(&tier.candidates[*index]));
        let left = size - down.len();
        let tried = Tried::default();
        // At first a large tier may find out one by one.
        (0..500).for_each(|_| assert!(tier.rotate(&view(&tried), 7).is_some()));
        let mut hits = vec![0; size];
        for _ in 0..left * 30 {
            tier.prepare(0);
            hits[tier.rotate(&view(&tried), 7).unwrap()] += 1;
        }
        // In turn: nobody comes twice before all have come.
        let round: std::collections::HashSet<_> = (0..left).map(|_| tier.rotate(&view(&tried), 7)).collect();
        assert_eq!(round.len(), left);
        for (index, hit) in hits.iter().enumerate() {
            assert_eq!(*hit, if down.contains(&index) { 0 } else { 30 }, "{index} of {size}");
        }
    }
}

/// What one fails, or has no room for, is shared evenly by the others.
#[test]
fn a_second_choice_takes_no_turn() {
    for (size, refused) in [(3, None), (3, Some(Refused::Limit)), (130, None), (130, Some(Refused::Limit))] {
        let tier = tier(vec![1; size]);
        let (mut firsts, mut seconds) = (vec![0u64; size], vec![0u64; size]);
        for random in 0..500 * size as u64 {
            let mut tried = Tried::default();
            let first = tier.rotate(&view(&tried), random).unwrap();
            firsts[first] += 1;
            if first == 0 {
                let permits = CandidateBreakers::default().try_acquire(0).unwrap();
                let pick = crate::balance::Pick { tier: 0, index: 0, permits };
                tried.insert(&pick);
                refused.into_iter().for_each(|refused| tried.refuse(&pick, refused));
                seconds[tier.rotate(&view(&tried), random).unwrap()] += 1;
            }
        }
        assert_eq!(firsts, vec![500; size]);
        let others: Vec<u64> = (0..size).map(|index| u64::from(index > 0)).collect();
        assert!(follows(&seconds, &others), "{size}, {refused:?}: {seconds:?}");
    }
}

#[test]
fn a_large_tier_that_fails_all_at_once_is_found_out_and_recovers() {
    let tier = tier((0..5_000).map(|index| 1 + index % 3));
    let tried = Tried::default();
    (0..5_000).filter(|index| *index != 4_321).for_each(|index| open(&tier.candidates[index]));
    let mut draws = Draws::new(3);
    for _ in 0..200 {
        assert_eq!(tier.draw(&view(&tried), &mut draws), Some(4_321));
        assert_eq!(tier.rotate(&view(&tried), 7), Some(4_321));
    }
    open(&tier.candidates[4_321]);
    assert_eq!(tier.draw(&view(&tried), &mut draws), None);
    assert_eq!(tier.rotate(&view(&tried), 7), None);
    // One comes back: it is found when all are asked again.
    close(&tier.candidates[77], 0);
    let later = View { now_ms: 2 * ASK_ALL_EVERY_MS, ..view(&tried) };
    assert_eq!(tier.rotate(&later, 7), Some(77));
    // All come back: the memory is corrected while time passes.
    tier.candidates.iter().filter(|candidate| !candidate.breakers.available(0)).for_each(|c| close(c, 0));
    (0..100).for_each(|ms| tier.prepare(1_000 + ms));
    assert_eq!(tier.memory.down_count.load(Relaxed), 0);
    let turn: std::collections::HashSet<_> = (0..5_000).filter_map(|_| tier.rotate(&later, 7)).collect();
    assert_eq!(turn.len(), 5_000);
}

/// Threads that flip breakers and choose at the same time leave the sums right.
#[test]
fn the_memory_of_many_threads_adds_up() {
    let tier = tier((0..200).map(|index| index % 5));
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let tier = &tier;
            scope.spawn(move || {
                let mut draws = Draws::new(thread);
                let tried = Tried::default();
                for now_ms in 0..3_000 {
                    let candidate = &tier.candidates[draws.below(200) as usize];
                    match candidate.breakers.try_acquire(now_ms) {
                        Some(permit) if draws.below(3) > 0 => {
                            candidate.breakers.failure(
                                permit,
                                now_ms,
                                Failure::RateLimited { retry_after_ms: Some(7) },
                            );
                        }
                        Some(permit) => candidate.breakers.success(permit, now_ms),
                        None => {}
                    }
                    let view = View { now_ms, ..view(&tried) };
                    tier.prepare(now_ms);
                    tier.draw(&view, &mut draws);
                    tier.rotate(&view, 7);
                }
            });
        }
    });
    let mut down = 0;
    for (at, block) in tier.memory.blocks.iter().enumerate() {
        let bits = block.down.load(Relaxed);
        down += i64::from(bits.count_ones());
        let all = u64::MAX >> (BLOCK - (tier.block_end(at) - at * BLOCK));
        assert_eq!(block.weight.load(Relaxed), tier.weight_of(at, all & !bits));
    }
    assert_eq!(tier.memory.down_count.load(Relaxed), down);
}

proptest! {
    /// Whatever is down or tried: a choice is free, and there is one whenever anything is.
    #[test]
    fn a_choice_is_free_and_found(
        weights in prop::collection::vec(0u32..4, 1..200),
        down in prop::collection::vec(any::<prop::sample::Index>(), 0..250),
        taken in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        seed: u64,
    ) {
        let tier = &tier(weights.iter().copied());
        let mut tried = Tried::default();
        for at in taken {
            let index = at.index(weights.len()) as u32;
            let permits = CandidateBreakers::default().try_acquire(0).unwrap();
            tried.insert(&crate::balance::Pick { tier: 0, index, permits });
        }
        for at in down {
            let candidate = &tier.candidates[at.index(weights.len())];
            if candidate.breakers.available(0) {
                open(candidate);
            }
        }
        let free: Vec<usize> = (0..weights.len())
            .filter(|index| !tried.contains(0, *index as u32) && tier.candidates[*index].breakers.available(0))
            .collect();
        for strategy in crate::balance::STRATEGIES {
            for random in 0..5 {
                tier.prepare(0);
                let choice = strategy.choose(tier, &view(&tried), seed.wrapping_add(random));
                match choice {
                    Some(index) => prop_assert!(free.contains(&index), "{}", strategy.name()),
                    None => prop_assert!(free.is_empty(), "{}", strategy.name()),
                }
                let heavy = free.iter().any(|index| tier.candidates[*index].weight > 0);
                if heavy && !tier.is_even() && strategy.name() == "weighted" {
                    prop_assert!(tier.candidates[choice.unwrap()].weight > 0);
                }
            }
        }
    }
}
