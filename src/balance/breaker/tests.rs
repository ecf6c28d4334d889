use super::*;
use proptest::prelude::*;
use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;

const POLICY: BreakerPolicy = BreakerPolicy { failures_to_open: 3, open_ms: 1_000, probe_ms: 500 };

impl Breaker {
    /// When it lets something through again, on the callers' clock; 0: it is closed. In the past: it is half-open.
    fn cooldown_until_ms(&self) -> u64 {
        self.load().until_ms
    }
}

fn breaker() -> Breaker {
    Breaker::new(POLICY)
}

fn fail(breaker: &Breaker, now_ms: u64, failure: Failure) {
    let permit = breaker.try_acquire(now_ms).expect("a permit");
    breaker.failure(permit, now_ms, failure);
}

fn opened_at(now_ms: u64) -> Breaker {
    let breaker = breaker();
    (0..3).for_each(|_| fail(&breaker, now_ms, Failure::Connect));
    assert_eq!(breaker.state(now_ms), BreakerState::Open);
    breaker
}

#[test]
fn failures_in_a_row_open_it() {
    let breaker = breaker();
    for _ in 0..10 {
        fail(&breaker, 0, Failure::Timeout);
        fail(&breaker, 0, Failure::ServerError);
        let permit = breaker.try_acquire(0).unwrap();
        breaker.success(permit, 0);
    }
    assert_eq!(breaker.state(0), BreakerState::Closed);
    assert_eq!((breaker.cooldown_until_ms(), breaker.cause(), breaker.wait_ms(0)), (0, None, 0));
    [Failure::Connect, Failure::ErrorEvent, Failure::Timeout]
        .into_iter()
        .for_each(|failure| fail(&breaker, 7, failure));
    assert_eq!(breaker.state(7), BreakerState::Open);
    assert_eq!((breaker.cooldown_until_ms(), breaker.cause(), breaker.wait_ms(7)), (1_007, Some("timeout"), 1_000));
    assert!(!breaker.available(1_006) && breaker.try_acquire(1_006).is_none());
}

#[test]
fn a_dead_key_and_an_empty_account_open_it_at_once() {
    for (failure, cooldown_ms) in [(Failure::KeyDead, 300_000), (Failure::QuotaExhausted, 300_000)] {
        let breaker = breaker();
        fail(&breaker, 10, failure);
        assert_eq!(breaker.state(10), BreakerState::Open, "{failure:?}");
        assert_eq!(breaker.cooldown_until_ms(), 10 + cooldown_ms, "{failure:?}");
        assert_eq!(breaker.state(10 + cooldown_ms), BreakerState::HalfOpen);
    }
}

#[test]
fn what_is_the_clients_fault_never_counts() {
    let breaker = breaker();
    for _ in 0..1000 {
        fail(&breaker, 0, Failure::Client);
        fail(&breaker, 0, Failure::ModelMissing);
    }
    assert_eq!(breaker.state(0), BreakerState::Closed);
    // But an upstream that says so to a probe is alive.
    let breaker = opened_at(0);
    fail(&breaker, 1_000, Failure::Client);
    assert_eq!(breaker.state(1_000), BreakerState::Closed);
}

#[test]
fn half_open_lets_one_probe_through_and_its_success_closes() {
    let breaker = opened_at(0);
    let probe = breaker.try_acquire(1_000).unwrap();
    assert!(probe.is_probe());
    assert_eq!(breaker.state(1_000), BreakerState::HalfOpen);
    assert!(!breaker.available(1_000) && breaker.try_acquire(1_400).is_none());
    breaker.success(probe, 1_400);
    assert_eq!(breaker.state(1_400), BreakerState::Closed);
    assert!((0..5).all(|_| breaker.try_acquire(1_400).is_some_and(|permit| !permit.is_probe())));
}

#[test]
fn each_failed_probe_doubles_the_time_up_to_a_bound() {
    let breaker = opened_at(0);
    let mut now_ms = 1_000;
    let mut times = Vec::new();
    for _ in 0..20 {
        fail(&breaker, now_ms, Failure::ServerError);
        times.push(breaker.wait_ms(now_ms));
        now_ms = breaker.cooldown_until_ms();
    }
    assert_eq!(times[..9], [2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000]);
    assert!(times[9..].iter().all(|ms| *ms == 300_000));
    let probe = breaker.try_acquire(now_ms).unwrap();
    breaker.success(probe, now_ms);
    (0..3).for_each(|_| fail(&breaker, now_ms, Failure::Connect));
    assert_eq!(breaker.wait_ms(now_ms), 1_000, "a success makes it forget");
}

#[test]
fn a_lost_probe_does_not_wedge_it() {
    let breaker = opened_at(0);
    let lost = breaker.try_acquire(1_000).unwrap();
    assert!(breaker.try_acquire(1_499).is_none());
    let second = breaker.try_acquire(1_500).unwrap();
    assert!(second.is_probe() && breaker.try_acquire(1_600).is_none());
    // The lost one comes back late: it is not the probe any more.
    breaker.success(lost, 1_700);
    breaker.failure(lost, 1_700, Failure::KeyDead);
    breaker.release(lost, 1_700);
    assert!(breaker.try_acquire(1_700).is_none());
    breaker.success(second, 1_800);
    assert_eq!(breaker.state(1_800), BreakerState::Closed);
}

#[test]
fn a_probe_without_a_verdict_gives_its_place() {
    let breaker = opened_at(0);
    let probe = breaker.try_acquire(1_000).unwrap();
    breaker.release(probe, 1_100);
    assert_eq!(breaker.state(1_100), BreakerState::HalfOpen);
    assert!(breaker.try_acquire(1_100).unwrap().is_probe());
    assert!(breaker.try_acquire(1_100).is_none());
}

#[test]
fn requests_from_before_prove_nothing() {
    let breaker = breaker();
    let early = breaker.try_acquire(0).unwrap();
    (0..3).for_each(|_| fail(&breaker, 0, Failure::Connect));
    breaker.success(early, 10);
    breaker.release(early, 10);
    assert_eq!(breaker.state(10), BreakerState::Open);
    for _ in 0..10 {
        breaker.failure(early, 900, Failure::ServerError);
    }
    assert_eq!(breaker.cooldown_until_ms(), 1_000, "no growth");
    breaker.failure(early, 900, Failure::KeyDead);
    assert_eq!((breaker.cooldown_until_ms(), breaker.cause()), (300_900, Some("key_dead")));
    breaker.failure(early, 901, Failure::RateLimited { retry_after_ms: Some(5) });
    assert_eq!((breaker.cooldown_until_ms(), breaker.cause()), (300_900, Some("key_dead")), "no shorter");
    let probe = breaker.try_acquire(300_900).unwrap();
    breaker.failure(early, 300_901, Failure::KeyDead);
    breaker.success(early, 300_901);
    assert!(breaker.try_acquire(300_902).is_none(), "the probe decides");
    breaker.success(probe, 300_903);
    assert_eq!(breaker.state(300_903), BreakerState::Closed);
}

#[test]
fn a_rate_limit_with_a_time_takes_exactly_that_and_needs_no_probe() {
    let breaker = breaker();
    let others: Vec<_> = (0..3).map(|_| breaker.try_acquire(100).unwrap()).collect();
    fail(&breaker, 100, Failure::RateLimited { retry_after_ms: Some(2_345) });
    assert_eq!((breaker.state(2_444), breaker.wait_ms(2_444)), (BreakerState::Open, 1));
    // A success of a request that began before does not cut it short, nor does a shorter limit.
    breaker.success(others[0], 200);
    breaker.failure(others[1], 200, Failure::RateLimited { retry_after_ms: Some(5) });
    assert!(!breaker.available(2_444));
    assert_eq!(breaker.state(2_445), BreakerState::Closed);
    assert!((0..5).all(|_| breaker.try_acquire(2_445).is_some_and(|permit| !permit.is_probe())));

    let forever = Failure::RateLimited { retry_after_ms: Some(u64::MAX) };
    fail(&breaker, 3_000, forever);
    assert_eq!(breaker.wait_ms(3_000), RETRY_AFTER_MS_MAX);
    // Worse news while it cools.
    breaker.failure(others[2], 3_000 + RETRY_AFTER_MS_MAX - 1, Failure::KeyDead);
    assert_eq!(breaker.cause(), Some("key_dead"));
    assert_eq!(breaker.state(3_000 + RETRY_AFTER_MS_MAX), BreakerState::Open);
}

/// How long it keeps away, time after time, without a success in between.
fn cooldowns(failure: Failure) -> Vec<u64> {
    let breaker = breaker();
    let mut now_ms = 1_000;
    let mut times = Vec::new();
    for _ in 0..9 {
        fail(&breaker, now_ms, failure);
        times.push(breaker.wait_ms(now_ms));
        now_ms += breaker.wait_ms(now_ms);
        assert_eq!(breaker.state(now_ms), BreakerState::Closed, "no probe");
        // Several may go there, and what they come to is no news after the first.
        let before = [(); 2].map(|()| breaker.try_acquire(now_ms).expect("closed"));
        assert!(!before[0].is_probe() && !before[1].is_probe());
    }
    let permit = breaker.try_acquire(now_ms).expect("closed");
    breaker.success(permit, now_ms);
    fail(&breaker, now_ms, failure);
    assert_eq!(breaker.wait_ms(now_ms), times[0], "a success makes it forget");
    times
}

#[test]
fn what_names_no_time_worth_the_name_keeps_away_for_longer_and_longer() {
    let untimed = cooldowns(Failure::RateLimited { retry_after_ms: None });
    assert_eq!(untimed, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    for (told_ms, others) in [(0, 1_000), (999, 1_000), (1_000, 1_000), (70_000, 70_000)] {
        for failure in
            [Failure::RateLimited { retry_after_ms: Some(told_ms) }, Failure::Overloaded { retry_after_ms: told_ms }]
        {
            let times = cooldowns(failure);
            assert_eq!(times[..2], [told_ms, others], "{failure:?}");
            assert_eq!(times[8], if told_ms < 1_000 { 60_000 } else { told_ms }, "{failure:?}");
        }
    }
}

/// Answers take seconds, refusals milliseconds: what is served ends while it cools.
#[test]
fn what_serves_in_every_round_keeps_away_for_no_longer_each_time() {
    for failure in [Failure::RateLimited { retry_after_ms: None }, Failure::Overloaded { retry_after_ms: 0 }] {
        let breaker = breaker();
        for round in 0..20 {
            let now_ms = 100_000 * round;
            let [served, refused] = [(); 2].map(|()| breaker.try_acquire(now_ms).expect("closed"));
            breaker.failure(refused, now_ms, failure);
            let wait_ms = breaker.wait_ms(now_ms);
            assert!(wait_ms <= 1_000, "{wait_ms} in round {round}");
            breaker.success(served, now_ms + wait_ms / 2);
            assert_eq!(breaker.wait_ms(now_ms), wait_ms, "the time that was told stays");
        }
    }
}

#[test]
fn what_was_under_way_when_it_began_to_cool_makes_nothing_grow() {
    let breaker = breaker();
    let untimed = Failure::RateLimited { retry_after_ms: None };
    let all: Vec<_> = (0..20).map(|_| breaker.try_acquire(0).unwrap()).collect();
    all.iter().for_each(|permit| breaker.failure(*permit, 10, untimed));
    assert_eq!((breaker.wait_ms(10), breaker.state(1_010)), (1_000, BreakerState::Closed));
    fail(&breaker, 1_010, untimed);
    assert_eq!(breaker.wait_ms(1_010), 2_000);
}

#[test]
fn failures_before_and_after_it_cooled_are_in_a_row() {
    let breaker = breaker();
    fail(&breaker, 0, Failure::Connect);
    fail(&breaker, 0, Failure::Overloaded { retry_after_ms: 2_000 });
    fail(&breaker, 2_000, Failure::Connect);
    assert_eq!((breaker.failures(), breaker.state(2_000)), (2, BreakerState::Closed));
    fail(&breaker, 2_000, Failure::Connect);
    assert_eq!((breaker.state(2_000), breaker.wait_ms(2_000)), (BreakerState::Open, 1_000));
}

#[test]
fn a_probe_is_waited_for_a_second_and_not_until_it_would_be_given_up() {
    let breaker = Breaker::new(BreakerPolicy { failures_to_open: 1, open_ms: 60_000, probe_ms: 120_000 });
    fail(&breaker, 0, Failure::Connect);
    assert_eq!(breaker.wait_ms(0), 60_000);
    let probe = breaker.try_acquire(60_000).unwrap();
    assert!(probe.is_probe());
    assert_eq!((breaker.wait_ms(60_000), breaker.wait_ms(179_600), breaker.wait_ms(180_000)), (1_000, 400, 0));
}

#[test]
fn a_rate_limited_probe_cools() {
    let breaker = opened_at(0);
    fail(&breaker, 1_000, Failure::RateLimited { retry_after_ms: Some(50) });
    assert_eq!((breaker.state(1_049), breaker.state(1_050)), (BreakerState::Open, BreakerState::Closed));
}

#[test]
fn a_clock_that_jumps_back_does_not_keep_it_open() {
    const YEAR_MS: u64 = 365 * 86_400_000;
    let breaker = opened_at(2 * YEAR_MS);
    assert!(breaker.available(YEAR_MS));
    let probe = breaker.try_acquire(YEAR_MS).unwrap();
    breaker.success(probe, YEAR_MS + 5);
    assert_eq!(breaker.state(YEAR_MS + 5), BreakerState::Closed);
}

#[test]
fn times_at_the_end_of_the_word_do_no_harm() {
    let breaker = breaker();
    for _ in 0..3 {
        fail(&breaker, u64::MAX, Failure::Connect);
    }
    assert!(breaker.available(u64::MAX));
    assert!(breaker.try_acquire(u64::MAX).is_some());
}

#[test]
fn a_reloaded_policy_acts_at_once_and_keeps_the_state() {
    let breaker = breaker();
    fail(&breaker, 0, Failure::Connect);
    breaker.set_policy(BreakerPolicy { failures_to_open: 2, open_ms: 70, probe_ms: 10 });
    fail(&breaker, 0, Failure::Connect);
    assert_eq!(breaker.cooldown_until_ms(), 70);
    breaker.set_policy(BreakerPolicy { failures_to_open: 0, open_ms: u64::MAX, probe_ms: 0 });
    fail(&breaker, 70, Failure::Connect);
    assert_eq!(breaker.wait_ms(70), COOLDOWN_MS_MAX);
}

#[test]
fn as_many_failures_are_counted_as_can_be_asked_for() {
    let breaker = Breaker::new(BreakerPolicy { failures_to_open: FAILURES_TO_OPEN_MAX, ..POLICY });
    for failure in 1..FAILURES_TO_OPEN_MAX {
        fail(&breaker, 0, Failure::Connect);
        assert_eq!((breaker.state(0), breaker.failures()), (BreakerState::Closed, failure));
    }
    fail(&breaker, 0, Failure::Connect);
    assert_eq!(breaker.state(0), BreakerState::Open);
}

#[test]
fn what_somebody_may_have_mended_is_looked_at_again_and_nothing_else() {
    for (failure, is_for_somebody) in [
        (Failure::KeyDead, true),
        (Failure::QuotaExhausted, true),
        (Failure::Connect, false),
        (Failure::RateLimited { retry_after_ms: None }, false),
        (Failure::Overloaded { retry_after_ms: 9_000 }, false),
    ] {
        let breaker = breaker();
        while breaker.available(0) {
            fail(&breaker, 0, failure);
        }
        breaker.look_again(100);
        assert_eq!(breaker.available(100), is_for_somebody, "{failure:?}");
        if is_for_somebody {
            let probe = breaker.try_acquire(100).expect("it may be mended");
            breaker.look_again(101);
            assert!(breaker.try_acquire(101).is_none(), "one finds out");
            breaker.failure(probe, 102, failure);
            assert_eq!(breaker.wait_ms(102), 600_000, "it was not, and is probed more seldom");
        }
    }
}

/// Many threads see the end of the cooldown together, again and again: each time one of them gets the probe.
#[test]
fn of_many_threads_exactly_one_probes() {
    const THREADS: usize = 8;
    const ROUNDS: u64 = 300;
    let breaker = Breaker::new(BreakerPolicy { failures_to_open: 1, open_ms: 10, probe_ms: 5 });
    let barrier = Barrier::new(THREADS);
    let probes = AtomicUsize::new(0);
    fail(&breaker, 0, Failure::Connect);
    // No assertion between the barriers: a thread that left would keep the others waiting.
    let per_round = |thread: usize, round: u64| {
        let now_ms = 1_000_000 * (round + 1);
        barrier.wait();
        let permit = breaker.try_acquire(now_ms);
        probes.fetch_add(usize::from(permit.is_some_and(Permit::is_probe)), Relaxed);
        probes.fetch_add(if permit.is_some_and(|permit| !permit.is_probe()) { 1_000 } else { 0 }, Relaxed);
        let leads = barrier.wait().is_leader();
        let count = if leads { probes.swap(0, Relaxed) } else { 0 };
        barrier.wait();
        // A failed probe, or one that is lost: the next round finds it half-open either way.
        if let Some(permit) = permit
            && (round as usize + thread).is_multiple_of(2)
        {
            breaker.failure(permit, now_ms, Failure::ServerError);
        }
        leads.then_some(count)
    };
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let run = |thread| (0..ROUNDS).filter_map(|round| per_round(thread, round)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(counts, vec![1; ROUNDS as usize]);
}

/// Reports of all threads together: the failures of a closed breaker are counted without loss.
#[test]
fn no_failure_is_lost_between_threads() {
    const THREADS: u32 = 8;
    for _ in 0..200 {
        let breaker =
            Breaker::new(BreakerPolicy { failures_to_open: THREADS + 1, open_ms: 10, ..BreakerPolicy::default() });
        let start = Barrier::new(THREADS as usize);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    fail(&breaker, 0, Failure::Connect);
                });
            }
        });
        assert_eq!(breaker.state(0), BreakerState::Closed);
        fail(&breaker, 0, Failure::Connect);
        assert_eq!(breaker.state(0), BreakerState::Open);
    }
}

fn failures() -> impl Strategy<Value = Failure> {
    prop_oneof![
        Just(Failure::Connect),
        Just(Failure::KeyDead),
        Just(Failure::ServerError),
        Just(Failure::Client),
        Just(Failure::ModelMissing),
        Just(Failure::RateLimited { retry_after_ms: None }),
        (0u64..5_000).prop_map(|ms| Failure::RateLimited { retry_after_ms: Some(ms) }),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Acquire,
    Pass(u64),
    Success(prop::sample::Index),
    Fail(prop::sample::Index, Failure),
    Release(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Acquire),
        3 => (0u64..2_000).prop_map(Step::Pass),
        2 => any::<prop::sample::Index>().prop_map(Step::Success),
        4 => (any::<prop::sample::Index>(), failures()).prop_map(|(at, failure)| Step::Fail(at, failure)),
        1 => any::<prop::sample::Index>().prop_map(Step::Release),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    /// Whatever happens: the views agree, at most one probe holds, and the breaker always becomes available again.
    #[test]
    fn the_views_agree_and_it_always_recovers(steps in steps()) {
        let breaker = breaker();
        let mut now_ms = 1_000u64;
        let mut permits: Vec<Permit> = Vec::new();
        let mut probe_until_ms = 0;
        for step in steps {
            match step {
                Step::Pass(ms) => now_ms += ms,
                Step::Acquire => {
                    let available = breaker.available(now_ms);
                    let permit = breaker.try_acquire(now_ms);
                    prop_assert_eq!(permit.is_some(), available);
                    if let Some(permit) = permit {
                        if permit.is_probe() {
                            prop_assert!(now_ms >= probe_until_ms, "two probes at once");
                            probe_until_ms = now_ms + POLICY.probe_ms;
                        }
                        permits.push(permit);
                    }
                }
                _ if permits.is_empty() => {}
                Step::Success(at) | Step::Fail(at, _) | Step::Release(at) => {
                    let permit = permits.swap_remove(at.index(permits.len()));
                    match step {
                        Step::Success(_) => breaker.success(permit, now_ms),
                        Step::Fail(_, failure) => breaker.failure(permit, now_ms, failure),
                        _ => breaker.release(permit, now_ms),
                    }
                    if permit.is_probe() && permit.probe_until_ms == Some(probe_until_ms) {
                        probe_until_ms = 0;
                    }
                }
            }
            prop_assert_eq!(breaker.wait_ms(now_ms) == 0, breaker.available(now_ms));
            prop_assert!(breaker.wait_ms(now_ms) <= COOLDOWN_MS_MAX);
            let passes = breaker.available(now_ms);
            prop_assert!(passes || breaker.state(now_ms) != BreakerState::Closed);
            prop_assert!(!passes || breaker.state(now_ms) != BreakerState::Open);
        }
        let later_ms = now_ms + breaker.wait_ms(now_ms);
        prop_assert!(breaker.try_acquire(later_ms).is_some());
    }

    #[test]
    fn the_word_holds_the_state(
        phase in 0usize..4, failures in 0u16..4096, level in 0u8..16, cause in 0u8..16, until_ms in 0..=UNTIL_MAX
    ) {
        let word = Word { phase: PHASES[phase], failures, level, cause, until_ms };
        prop_assert_eq!(Word::unpack(word.pack()), word);
    }
}
