use super::*;
use crate::balance::{BreakerPolicy, CandidateBreakers, Failure, STRATEGIES, UpstreamBreakers, strategy};
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};

fn candidate(upstream: u32, weight: u32) -> Candidate {
    let policy = BreakerPolicy { failures_to_open: 1, open_ms: 1_000, probe_ms: 500 };
    Candidate {
        upstream,
        upstream_model: Arc::from("m"),
        weight,
        is_translated: false,
        cost_rank: 0,
        breakers: UpstreamBreakers::new(["m"].into_iter(), policy, None).of("m"),
        observed: Arc::default(),
    }
}

fn plan(rows: &[(u32, u32)]) -> Plan {
    let numbered = (0u32..).zip(rows);
    Plan::new(numbered.map(|(upstream, (priority, weight))| (*priority, candidate(upstream, *weight))))
}

fn weighted() -> &'static dyn Strategy {
    strategy("weighted").unwrap()
}

#[test]
fn failover_exhausts_a_tier_before_the_next() {
    // Priorities out of order, with gaps.
    let plan = plan(&[(7, 1), (0, 80), (0, 20), (3, 5), (3, 5)]);
    assert_eq!(plan.tiers.iter().map(|tier| tier.rank.priority).collect::<Vec<_>>(), [0, 3, 7]);
    assert_eq!(plan.candidates().count(), 5);
    for strategy in STRATEGIES {
        for seed in 0..50 {
            let mut tried = Tried::default();
            let mut order = Vec::new();
            for _ in 0..5 {
                let pick = plan.pick(strategy, &tried, 0, seed).unwrap();
                order.push(plan.candidate(&pick).unwrap().upstream);
                tried.insert(&pick);
            }
            assert_eq!(plan.pick(strategy, &tried, 0, seed), None);
            let sets: Vec<HashSet<u32>> =
                [&order[..2], &order[2..4], &order[4..]].map(|o| o.iter().copied().collect()).into();
            assert_eq!(sets, [HashSet::from([1, 2]), HashSet::from([3, 4]), HashSet::from([0])], "{}", strategy.name());
        }
    }
}

#[test]
fn a_tier_whose_breakers_are_open_is_passed_over() {
    let plan = plan(&[(0, 1), (0, 1), (1, 1)]);
    let tried = Tried::default();
    for candidate in &plan.tiers[0].candidates {
        let permit = candidate.breakers.try_acquire(0).unwrap();
        candidate.breakers.failure(permit, 0, Failure::KeyDead);
    }
    assert_eq!(plan.pick(weighted(), &tried, 10, 1).unwrap().tier, 1);
    let last = &plan.tiers[1].candidates[0];
    let permit = last.breakers.try_acquire(10).unwrap();
    last.breakers.failure(permit, 10, Failure::Timeout);
    assert_eq!(plan.pick(weighted(), &tried, 10, 1), None);
    assert_eq!(plan.retry_after_ms(10), 1_000);
    assert_eq!(plan.retry_after_ms(1_009), 1);
    // Half-open: one request probes, the next finds nothing.
    let probe = plan.pick(weighted(), &tried, 1_010, 1).unwrap();
    assert!(probe.permits.is_probe());
    assert_eq!(plan.pick(weighted(), &tried, 1_010, 2), None);
    last.breakers.success(probe.permits, 1_011);
    assert!(plan.pick(weighted(), &tried, 1_011, 3).is_some());
}

#[test]
fn an_upstream_that_recovered_takes_part_again() {
    for strategy in STRATEGIES {
        let plan = plan(&[(0, 1), (0, 1)]);
        let sick = &plan.tiers[0].candidates[1];
        let permit = sick.breakers.try_acquire(0).unwrap();
        sick.breakers.failure(permit, 0, Failure::Connect);
        let hits = |now_ms: u64| {
            let picks = (0..200).filter_map(|random| plan.pick(strategy, &Tried::default(), now_ms, random));
            picks.filter(|pick| pick.index == 1).map(|pick| sick.breakers.success(pick.permits, now_ms)).count()
        };
        assert_eq!(hits(999), 0, "{}", strategy.name());
        assert!(hits(1_000) > 50, "{}", strategy.name());
    }
}

#[test]
fn a_plan_without_candidates_has_nothing() {
    let plan = Plan::new([]);
    assert!(plan.is_empty());
    assert_eq!(plan.pick(weighted(), &Tried::default(), 0, 0), None);
    assert_eq!(plan.retry_after_ms(0), WAIT_MS);
}

#[test]
fn a_request_remembers_sixteen_attempts() {
    let plan = plan(&[(0, 1); 40]);
    let mut tried = Tried::default();
    for attempts in 1..=TRIED_MAX {
        let pick = plan.pick(weighted(), &tried, 0, 9).unwrap();
        (0..2).for_each(|_| tried.insert(&pick));
        assert_eq!(tried.len(), attempts);
    }
    assert_eq!(plan.pick(weighted(), &tried, 0, 9), None);
    assert!(tried.is_full() && !tried.is_empty());
    assert_eq!(tried.len(), TRIED_MAX);
}

#[test]
fn bits_of_what_was_tried() {
    let mut tried = Tried::default();
    let permits = CandidateBreakers::default().try_acquire(0).unwrap();
    for (tier, index) in [(0, 3), (0, 64), (1, 5), (0, 127)] {
        tried.insert(&Pick { tier, index, permits });
    }
    assert_eq!(tried.bits_in(0, 0), 1 << 3);
    assert_eq!(tried.bits_in(0, 1), 1 | 1 << 63);
    assert_eq!(tried.bits_in(1, 0), 1 << 5);
    assert_eq!(tried.bits_in(2, 0), 0);
    tried.refuse(&Pick { tier: 0, index: 64, permits }, Refused::Limit);
    tried.refuse(&Pick { tier: 0, index: 70, permits }, Refused::Writing);
    assert_eq!((tried.bits_in(0, 1), tried.len()), (1 | 1 << 6 | 1 << 63, 3));
    assert!(tried.contains(0, 64) && tried.contains(0, 70) && tried.contains(0, 127) && !tried.contains(1, 64));
    assert!(!tried.has_none_of(0) && !tried.has_none_of(1) && tried.has_none_of(2));
}

/// However many have no room or cannot be asked it: those behind them are reached, and no attempt is taken for it.
#[test]
fn what_was_only_looked_at_hides_nothing_behind_it() {
    for (many, refused, looks) in [(40, Refused::Limit, 40), (2_000, Refused::Limit, 256), (40, Refused::Writing, 16)] {
        let plan = Plan::new((0..=many).map(|at| (u32::from(at == many), candidate(at, 1))));
        for strategy in STRATEGIES {
            let mut tried = Tried::default();
            let mut looked = HashSet::new();
            let last = (0u64..).find_map(|random| {
                let pick = plan.pick(strategy, &tried, 0, random).expect("one is left");
                tried.insert(&pick);
                if pick.tier == 1 {
                    return Some(pick);
                }
                tried.refuse(&pick, refused);
                assert!(looked.insert(pick.index), "looked at twice");
                None
            });
            assert_eq!((looked.len(), tried.len()), (looks, 1), "{}", strategy.name());
            assert_eq!(last.map(|pick| (pick.tier, pick.index)), Some((1, 0)));
            assert_eq!(plan.pick(strategy, &tried, 0, 1), None);
        }
    }
}

/// Many requests at once on one half-open upstream and one healthy one: one probe, the others go to the healthy one.
#[test]
fn a_herd_sends_one_probe() {
    const THREADS: usize = 8;
    for round in 0..100 {
        let plan = plan(&[(0, 1_000), (0, 1), (1, 1)]);
        let sick = &plan.tiers[0].candidates[0];
        let permit = sick.breakers.try_acquire(0).unwrap();
        sick.breakers.failure(permit, 0, Failure::Connect);
        let (probes, start) = (AtomicUsize::new(0), Barrier::new(THREADS));
        std::thread::scope(|scope| {
            for thread in 0..THREADS as u64 {
                let (plan, probes, start) = (&plan, &probes, &start);
                scope.spawn(move || {
                    start.wait();
                    let pick = plan.pick(weighted(), &Tried::default(), 1_000, round * 8 + thread).unwrap();
                    assert_eq!(pick.tier, 0);
                    assert_eq!(pick.permits.is_probe(), pick.index == 0);
                    probes.fetch_add(usize::from(pick.permits.is_probe()), Relaxed);
                });
            }
        });
        assert!(probes.load(Relaxed) <= 1);
    }
}
