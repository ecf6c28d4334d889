use super::{STRATEGIES, strategy};
use crate::balance::{BreakerPolicy, Candidate, Failure, Plan, Tried, UpstreamBreakers};
use std::collections::BTreeMap;
use std::sync::Arc;

/// weight, cost rank, latencies seen (0: a failure)
type Row<'a> = (u32, u32, &'a [u64]);

fn plan(rows: &[Row<'_>]) -> Plan {
    let policy = BreakerPolicy { failures_to_open: 1, ..BreakerPolicy::default() };
    Plan::new((0u32..).zip(rows).map(|(upstream, (weight, cost_rank, seen))| {
        let candidate = Candidate {
            upstream,
            upstream_model: Arc::from("m"),
            weight: *weight,
            is_translated: false,
            cost_rank: *cost_rank,
            breakers: UpstreamBreakers::new(["m"].into_iter(), policy, None).of("m"),
            observed: Arc::default(),
        };
        seen.iter().for_each(|ms| candidate.observed.observe(*ms, *ms > 0));
        (0, candidate)
    }))
}

/// Upstream to hits, of 2000 requests.
fn hits(plan: &Plan, name: &str) -> BTreeMap<u32, u64> {
    let strategy = strategy(name).unwrap();
    let mut hits = BTreeMap::new();
    for seed in 0..2_000u64 {
        let pick = plan.pick(strategy, &Tried::default(), 0, seed.wrapping_mul(0x9e37_79b9)).unwrap();
        *hits.entry(plan.candidate(&pick).unwrap().upstream).or_default() += 1;
    }
    hits
}

fn open(plan: &Plan, upstream: u32) {
    let breakers = &plan.candidates().find(|candidate| candidate.upstream == upstream).unwrap().breakers;
    let permit = breakers.try_acquire(0).unwrap();
    breakers.failure(permit, 0, Failure::Connect);
}

#[test]
fn the_names_of_the_configuration() {
    let names: Vec<_> = STRATEGIES.iter().map(|strategy| strategy.name()).collect();
    assert_eq!(names, ["weighted", "round_robin", "least_latency", "success_rate", "cheapest", "layered"]);
    assert!(strategy("Weighted").is_none());
}

#[test]
fn weighted_goes_by_weight_or_in_turn() {
    let by_weight = hits(&plan(&[(80, 0, &[]), (20, 0, &[])]), "weighted");
    assert!(by_weight[&0].abs_diff(1_600) < 100, "{by_weight:?}");
    for weight in [0, 1, 50] {
        let in_turn = hits(&plan(&[(weight, 0, &[][..]); 4]), "weighted");
        assert!(in_turn.values().all(|hits| *hits == 500), "{in_turn:?}");
    }
}

#[test]
fn whatever_the_strategy_a_weight_of_0_comes_after_all_others_and_before_a_later_priority() {
    for name in STRATEGIES.map(super::Strategy::name) {
        // The first would be the cheapest, and is measured last.
        let plan = plan(&[(0, 0, &[]), (3, 1, &[90]), (1, 1, &[90]), (0, 0, &[])]);
        assert_eq!(hits(&plan, name).keys().collect::<Vec<_>>(), [&1, &2], "{name}");
        open(&plan, 1);
        open(&plan, 2);
        assert_eq!(hits(&plan, name).keys().collect::<Vec<_>>(), [&0, &3], "{name}");
    }
}

#[test]
fn round_robin_does_not_see_weights() {
    let hits = hits(&plan(&[(80, 0, &[]), (20, 0, &[])]), "round_robin");
    assert_eq!(hits, BTreeMap::from([(0, 1_000), (1, 1_000)]));
}

#[test]
fn least_latency_takes_the_fastest_and_explores() {
    let fast = plan(&[(1, 0, &[300]), (1, 0, &[100]), (1, 0, &[200])]);
    let by_latency = hits(&fast, "least_latency");
    assert!(by_latency[&1] > 1_850 && by_latency[&0] > 5 && by_latency[&2] > 5, "{by_latency:?}");
    // One never measured is measured first; one that fails fast is not fast.
    assert!(hits(&plan(&[(1, 0, &[10]), (1, 0, &[])]), "least_latency")[&1] > 1_850);
    assert!(hits(&plan(&[(1, 0, &[50, 0, 0, 0]), (1, 0, &[10])]), "least_latency")[&1] > 1_850);
    open(&fast, 1);
    assert!(hits(&fast, "least_latency")[&2] > 1_850);
}

#[test]
fn success_rate_takes_the_healthiest_by_weight() {
    let plan = plan(&[(60, 0, &[9, 9, 9]), (20, 0, &[9]), (1_000, 0, &[0, 0, 9])]);
    let hits = hits(&plan, "success_rate");
    let healthy = hits[&0] + hits[&1];
    assert!(healthy > 1_850 && (hits[&0] * 100 / healthy).abs_diff(75) < 8, "{hits:?}");
}

#[test]
fn cheapest_takes_the_cheapest_by_weight() {
    let priced = plan(&[(1, 2, &[]), (30, 1, &[]), (1, 3, &[]), (10, 1, &[])]);
    let by_cost = hits(&priced, "cheapest");
    assert_eq!(by_cost.keys().collect::<Vec<_>>(), [&1, &3]);
    assert!(by_cost[&1].abs_diff(1_500) < 100, "{by_cost:?}");
    open(&priced, 1);
    assert_eq!(hits(&priced, "cheapest"), BTreeMap::from([(3, 2_000)]));
    open(&priced, 3);
    assert_eq!(hits(&priced, "cheapest"), BTreeMap::from([(0, 2_000)]));
}

#[test]
fn layered_looks_at_health_then_cost_then_speed() {
    let sick: &[u64] = &[0, 0, 0, 0, 9];
    let plan = plan(&[(1, 0, sick), (1, 1, &[400]), (1, 1, &[100]), (1, 1, &[120]), (1, 2, &[10])]);
    let hits = hits(&plan, "layered");
    assert!(hits[&2] + hits[&3] > 1_850 && hits[&2] > 800 && hits[&3] > 800, "{hits:?}");
}

/// Hundreds of candidates: the scoring strategies compare a sample, which still finds a far better kind.
#[test]
fn large_tiers_are_sampled() {
    let mut rows: Vec<Row<'_>> = vec![(1, 1, &[500]); 200];
    rows.extend(vec![(1, 0, &[50u64][..]); 200]);
    let plan = plan(&rows);
    for name in ["least_latency", "cheapest", "layered"] {
        let good: u64 = hits(&plan, name).range(200..).map(|(_, hits)| hits).sum();
        assert!(good > 1_850, "{name}: {good}");
    }
}
