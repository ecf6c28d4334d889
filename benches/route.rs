//! What admission and routing cost a request: one look-up among 1,000,000 keys, one choice among 10,000 upstreams, in every
//! state that those upstreams can be in. `cargo bench --bench route`.

mod keys;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, header};
use std::hint::black_box;
use std::sync::Arc;
use tollgate::balance::{
    Borrowed, Breaker, BreakerPolicy, Candidate, CandidateBreakers, Draws, ErrorHead, Failure, Plan, STRATEGIES, Tried,
    classify, strategy,
};
use tollgate::keyring::{Keys, digest_of};

const UPSTREAMS: u32 = 10_000;
const KEYS: i64 = 1_000_000;
const NOW_MS: u64 = 1_000_000;

/// 10,000 candidates in one tier with uneven weights and 1,000 prices, measured once each; all but one in `keep_one_in` have
/// an open breaker.
fn plan(keep_one_in: u32) -> Plan {
    let policy = BreakerPolicy { failures_to_open: 1, open_ms: 3_000_000, ..BreakerPolicy::default() };
    Plan::new((0..UPSTREAMS).map(|upstream| {
        let breaker = Arc::new(Breaker::new(policy));
        if upstream % keep_one_in != keep_one_in / 2
            && let Some(permit) = breaker.try_acquire(NOW_MS)
        {
            breaker.failure(permit, NOW_MS, Failure::Connect);
        }
        let candidate = Candidate {
            upstream,
            upstream_model: Arc::from("gpt-4o"),
            weight: 1 + upstream % 100,
            is_translated: false,
            cost_rank: upstream % 1_000,
            breakers: CandidateBreakers::new(breaker, Arc::default()),
            observed: Arc::default(),
        };
        candidate.observed.observe(u64::from(upstream % 997), true);
        (0, candidate)
    }))
}

/// The digest of the key with this number.
fn digest(number: i64) -> [u8; 32] {
    digest_of(&format!("sk-tg-{number}"))
}

fn choose(criterion: &mut Criterion) {
    for (share, keep_one_in) in [("all", 1), ("half", 2), ("1 in 10", 10), ("1 in 100", 100), ("1 in 10000", UPSTREAMS)]
    {
        let plan = plan(keep_one_in);
        let mut group = criterion.benchmark_group(format!("choose of 10000, available: {share}"));
        for strategy in STRATEGIES {
            let mut random = Draws::new(1);
            // Time passes: ten thousand requests a second.
            let mut requests = 0;
            group.bench_function(strategy.name(), |bench| {
                bench.iter(|| {
                    requests += 1;
                    let now_ms = NOW_MS + requests / 10 % 100_000;
                    black_box(plan.pick(strategy, &Tried::default(), now_ms, random.next_u64()))
                });
            });
        }
        group.finish();
    }
}

fn choose_again(criterion: &mut Criterion) {
    let plan = plan(2);
    let Some(weighted) = strategy("weighted") else { return };
    let mut random = Draws::new(1);
    let mut tried = Tried::default();
    for _ in 0..3 {
        plan.pick(weighted, &tried, NOW_MS, random.next_u64()).iter().for_each(|pick| tried.insert(pick));
    }
    criterion.bench_function("choose of 10000, half available, three tried", |bench| {
        bench.iter(|| black_box(plan.pick(weighted, &tried, NOW_MS, random.next_u64())));
    });
}

/// The worst moment: 9,999 of 10,000 have just failed and nothing is remembered yet.
fn choose_first(criterion: &mut Criterion) {
    let Some(weighted) = strategy("weighted") else { return };
    criterion.bench_function("choose of 10000, the first after all but one failed", |bench| {
        let fresh = || plan(UPSTREAMS);
        let first = |plan: &mut Plan| plan.pick(weighted, &Tried::default(), NOW_MS, 7);
        bench.iter_batched_ref(fresh, first, BatchSize::PerIteration);
    });
}

fn small(criterion: &mut Criterion) {
    let ten =
        Plan::new(plan(1).tiers.into_iter().flat_map(|tier| tier.candidates).take(10).map(|candidate| (0, candidate)));
    let mut random = Draws::new(1);
    for strategy in STRATEGIES {
        criterion.bench_function(&format!("choose of 10, {}", strategy.name()), |bench| {
            bench.iter(|| black_box(ten.pick(strategy, &Tried::default(), NOW_MS, random.next_u64())));
        });
    }
}

fn look_up_and_choose(criterion: &mut Criterion) {
    let ring = Keys::new();
    (0..KEYS).for_each(|id| ring.apply_change(keys::key(id, digest(id))));
    let credentials: Vec<String> = (0..KEYS).step_by(97).map(|id| format!("sk-tg-{id}")).collect();
    let plan = plan(10);
    let Some(weighted) = strategy("weighted") else { return };
    let mut random = Draws::new(1);
    let mut credential = || &credentials[random.below(credentials.len() as u64) as usize];
    let mut choices = Draws::new(2);
    criterion.bench_function("hash of a credential", |bench| {
        bench.iter(|| black_box(digest_of(credential())));
    });
    criterion.bench_function("look-up among 1000000 keys, hash included", |bench| {
        bench.iter(|| black_box(ring.find(&digest_of(credential()))));
    });
    criterion.bench_function("look-up among 1000000 keys, choose of 10000, 1 in 10 available", |bench| {
        bench.iter(|| {
            let key = ring.find(&digest_of(credential()));
            black_box((key, plan.pick(weighted, &Tried::default(), NOW_MS, choices.next_u64())))
        });
    });
}

fn judge(criterion: &mut Criterion) {
    let body = br#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let head = ErrorHead::read(&HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static("20"))]));
    let borrowed = Borrowed::new();
    criterion.bench_function("classify an error", |bench| {
        bench.iter(|| classify(429, &head, black_box(body), &borrowed, NOW_MS));
    });
    let breaker = Breaker::default();
    criterion.bench_function("breaker, acquire and succeed", |bench| {
        bench.iter(|| {
            if let Some(permit) = black_box(&breaker).try_acquire(NOW_MS) {
                breaker.success(permit, NOW_MS);
            }
        });
    });
}

criterion_group!(route, choose, choose_again, choose_first, small, look_up_and_choose, judge);
criterion_main!(route);
