use super::*;

const POLICY: BreakerPolicy = BreakerPolicy { failures_to_open: 2, open_ms: 1_000, probe_ms: 500 };

fn upstream(before: Option<&UpstreamBreakers>) -> UpstreamBreakers {
    UpstreamBreakers::new(["a", "b"].into_iter(), POLICY, before)
}

fn fail(breakers: &CandidateBreakers, now_ms: u64, failure: Failure) {
    let permits = breakers.try_acquire(now_ms).expect("permits");
    breakers.failure(permits, now_ms, failure);
}

fn limited(ms: u64) -> Failure {
    Failure::RateLimited { retry_after_ms: Some(ms) }
}

#[test]
fn a_rate_limit_is_the_models_and_everything_else_is_the_upstreams() {
    for (failure, is_of_the_model) in [
        (limited(700), true),
        (Failure::RateLimited { retry_after_ms: None }, true),
        (Failure::KeyDead, false),
        (Failure::QuotaExhausted, false),
        (Failure::Overloaded { retry_after_ms: 700 }, false),
    ] {
        let upstream = upstream(None);
        let (a, b) = (upstream.of("a"), upstream.of("b"));
        fail(&a, 10, failure);
        assert!(!a.available(10) && a.try_acquire(10).is_none(), "{failure:?}");
        assert_eq!(b.available(10), is_of_the_model, "{failure:?}");
        assert_eq!(b.try_acquire(10).is_some(), is_of_the_model, "{failure:?}");
        assert_eq!(upstream.state(10) == BreakerState::Closed, is_of_the_model, "{failure:?}");
        assert_eq!(upstream.available(10), is_of_the_model, "{failure:?}");
        assert_eq!(upstream.models_limited(10), usize::from(is_of_the_model), "{failure:?}");
        let (closest, is_models) = a.closest(10);
        assert_eq!((closest.cause(), is_models), (Some(failure.name()), is_of_the_model));
    }
}

#[test]
fn faults_of_the_upstream_are_counted_whatever_it_was_asked_for() {
    let upstream = upstream(None);
    fail(&upstream.of("a"), 0, Failure::Connect);
    fail(&upstream.of("a"), 0, limited(100));
    assert_eq!(upstream.failures(), 1, "a rate limit is no failure of the upstream's");
    fail(&upstream.of("b"), 0, Failure::ServerError);
    assert_eq!((upstream.state(0), upstream.wait_ms(0)), (BreakerState::Open, 1_000));
    assert!(!upstream.of("b").available(999));
}

#[test]
fn an_upstream_whose_every_model_is_limited_is_closed_to_all() {
    let upstream = upstream(None);
    fail(&upstream.of("a"), 0, limited(700));
    assert_eq!((upstream.wait_ms(0), upstream.model_wait_ms("a", 0), upstream.model_wait_ms("b", 0)), (0, 700, 0));
    fail(&upstream.of("b"), 0, limited(300));
    assert_eq!((upstream.state(0), upstream.available(0), upstream.wait_ms(0)), (BreakerState::Open, false, 300));
    assert_eq!((upstream.state(300), upstream.available(300)), (BreakerState::Closed, true));
    assert_eq!((upstream.of("a").wait_ms(300), upstream.of("b").wait_ms(300)), (400, 0));
}

#[test]
fn each_probe_ends_as_what_it_was_for_says() {
    let upstream = upstream(None);
    let a = upstream.of("a");
    (0..2).for_each(|_| fail(&a, 0, Failure::Connect));
    // A rate limit is an answer, which the upstream's probe was for …
    let probe = a.try_acquire(1_000).unwrap();
    assert!(probe.is_probe() && upstream.of("b").try_acquire(1_000).is_none());
    a.failure(probe, 1_000, Failure::RateLimited { retry_after_ms: None });
    assert!(upstream.of("b").available(1_000) && !a.available(1_000));
    // … and a connection that breaks says nothing of what the model denied: its probe is the next request's.
    (0..2).for_each(|_| fail(&a, 2_000, Failure::Denied));
    let probe = a.try_acquire(3_000).unwrap();
    assert!(probe.is_probe() && a.try_acquire(3_000).is_none(), "one at a time");
    a.failure(probe, 3_000, Failure::Connect);
    let probe = a.try_acquire(3_000).unwrap();
    assert!(probe.is_probe());
    a.failure(probe, 3_000, Failure::Client);
    assert!((0..2).all(|_| a.try_acquire(3_000).is_some_and(|permits| !permits.is_probe())));
}

#[test]
fn a_models_probe_that_has_only_answered_says_nothing_of_its_upstreams_failures() {
    let upstream = upstream(None);
    let a = upstream.of("a");
    fail(&a, 0, Failure::ErrorEvent);
    (0..2).for_each(|_| fail(&a, 0, Failure::Denied));
    let probe = a.try_acquire(1_000).unwrap();
    assert!(probe.is_probe() && a.try_acquire(1_000).is_none());
    a.answered(probe, 1_000);
    assert!(a.try_acquire(1_000).is_some_and(|permits| !permits.is_probe()), "the model is well");
    assert_eq!(upstream.failures(), 1, "it may still break");
    a.success(probe, 1_001);
    assert_eq!(upstream.failures(), 0);
}

#[test]
fn an_upstream_is_no_better_than_its_best_model() {
    let upstream = upstream(None);
    (0..2).for_each(|_| fail(&upstream.of("a"), 0, Failure::Connect));
    assert_eq!(upstream.state(1_000), BreakerState::HalfOpen);
    for model in ["a", "b"] {
        upstream.of(model).model.failure(Breaker::default().try_acquire(0).unwrap(), 1_000, limited(9_000));
    }
    assert_eq!((upstream.state(1_000), upstream.available(1_000)), (BreakerState::Open, false));
}

#[test]
fn a_probe_that_the_model_does_not_let_through_is_the_next_requests() {
    let upstream = upstream(None);
    let (a, b) = (upstream.of("a"), upstream.of("b"));
    fail(&a, 0, limited(60_000));
    (0..2).for_each(|_| fail(&b, 0, Failure::Connect));
    assert!(a.try_acquire(1_000).is_none(), "half open, but the model is limited");
    assert!(b.try_acquire(1_000).is_some_and(Permits::is_probe));
}

#[test]
fn a_reload_keeps_what_is_known_and_takes_the_new_policy() {
    let before = upstream(None);
    fail(&before.of("a"), 0, limited(5_000));
    fail(&before.of("b"), 0, Failure::Connect);
    let policy = BreakerPolicy { failures_to_open: 1, ..POLICY };
    let after = UpstreamBreakers::new(["a", "c"].into_iter(), policy, Some(&before));
    assert!(!after.of("a").available(0) && after.of("c").available(0));
    assert_eq!(after.failures(), 1);
    fail(&after.of("c"), 0, Failure::Connect);
    assert!(!before.of("b").available(0), "those of requests that still run are the same ones");
}
