//! Which upstream a request goes to: weights, turns, tiers, groups, and the breakers that take upstreams out and let them
//! back in.

use crate::calls::{Wire, plain_chat, send_all, serving, serving_keys, stepped};
use crate::support::client::Answer as Got;
use crate::support::gateway::{Gateway, Key, Setup, Upstream};
use crate::support::provider::{Provider, Received};
use crate::support::script::Answer;
use crate::support::until;
use serde_json::json;
use std::collections::BTreeMap;

/// An upstream below a path of its own, so that one provider can tell them apart.
fn named(name: &str, provider: &Provider) -> Upstream {
    Upstream::new(name, "openai", provider.url(&format!("/{name}/v1")))
}

/// How many requests each upstream got.
fn shares(provider: &Provider) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in provider.received() {
        *counts.entry(request.target.split('/').nth(1).unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts
}

fn went_to(request: &Received, name: &str) -> bool {
    request.target.starts_with(&format!("/{name}/"))
}

async fn ask(gateway: &Gateway, key: &Key) -> Got {
    gateway.send(&plain_chat(false).key(&key.key)).await
}

fn upstream_of(answer: &Got) -> String {
    answer.field("x-tollgate-upstream").unwrap_or("nobody").to_owned()
}

#[tokio::test]
async fn weights_of_80_and_20_give_80_and_20() {
    const COUNT: usize = 2_000;
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([
        named("a", &provider).with("weight = 80"),
        named("b", &provider).with("weight = 20"),
        named("never", &provider).with("weight = 0"),
        named("later", &provider).with("weight = 1000\npriority = 1"),
    ]);
    let (gateway, key) = serving(&setup).await;
    let answers = send_all(&gateway, vec![plain_chat(false).key(&key.key); COUNT], 4).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let shares = shares(&provider);
    assert_eq!(shares.values().sum::<usize>(), COUNT);
    assert_eq!(shares.keys().collect::<Vec<_>>(), ["a", "b"], "neither weight 0 nor a later tier");
    // Binomial: the standard deviation is 17.9; this is more than five of them.
    assert!(shares["b"].abs_diff(400) < 95, "{shares:?}");
    gateway.wait_records(COUNT).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_upstream_of_weight_0_serves_where_nothing_else_can_whatever_the_strategy() {
    let (good, bad) = (
        Provider::always(Wire::Chat.whole("x")).await,
        Provider::always(Answer::new(500, "application/json", "{}")).await,
    );
    for strategy in ["weighted", "round_robin", "least_latency", "success_rate", "cheapest", "layered"] {
        for (serves, expected) in [(&good, "used"), (&bad, "out-of-use")] {
            let setup = Setup::new([named("out-of-use", &good).with("weight = 0"), named("used", serves)])
                .set("routing.strategy", &format!("\"{strategy}\""));
            let (gateway, key) = serving(&setup).await;
            let answers = send_all(&gateway, vec![plain_chat(false).key(&key.key); 20], 1).await;
            assert!(answers.iter().all(|answer| upstream_of(answer) == expected), "{strategy}: {expected}");
            gateway.finish(&[&key]).await;
        }
    }
}

#[tokio::test]
async fn in_turn_is_exact_whatever_the_weights_and_equal_weights_take_turns_too() {
    for (strategy, weights) in [("round_robin", [1, 100, 7]), ("weighted", [5, 5, 5]), ("weighted", [0, 0, 0])] {
        let provider = Provider::always(Wire::Chat.whole("x")).await;
        let upstreams = ["a", "b", "c"].iter().zip(weights);
        let upstreams = upstreams.map(|(name, weight)| named(name, &provider).with(&format!("weight = {weight}")));
        let setup = Setup::new(upstreams).set("routing.strategy", &format!("\"{strategy}\""));
        let (gateway, key) = serving(&setup).await;
        let answers = send_all(&gateway, vec![plain_chat(false).key(&key.key); 30], 1).await;
        let order: Vec<String> = answers.iter().map(upstream_of).collect();
        let mut turn = order[..3].to_vec();
        turn.sort();
        assert_eq!(turn, ["a", "b", "c"], "{strategy}");
        for round in order.chunks(3) {
            assert_eq!(round, &order[..3], "{strategy} {weights:?}");
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn the_cheapest_strategy_prefers_the_cheaper_model_and_unknown_strategies_are_refused() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let prices =
        "[[model]]\nname = \"big\"\ninput = 9\noutput = 9\n[[model]]\nname = \"small\"\ninput = 1\noutput = 1\n";
    let setup = |strategy: &str| {
        Setup::new([
            named("dear", &provider).models(r#"[{ name = "m", upstream_model = "big" }]"#),
            named("cheap", &provider).models(r#"[{ name = "m", upstream_model = "small" }]"#),
        ])
        .prices(prices)
        .set("routing.strategy", strategy)
    };
    let (gateway, key) = serving(&setup("\"cheapest\"")).await;
    for _ in 0..10 {
        assert_eq!(upstream_of(&ask(&gateway, &key).await), "cheap");
    }
    gateway.finish(&[&key]).await;
    // The others choose by what they have seen: they serve, and each upstream gets a chance to be seen.
    for strategy in ["least_latency", "success_rate", "layered"] {
        let (gateway, key) = serving(&setup(&format!("\"{strategy}\""))).await;
        for _ in 0..10 {
            assert_eq!(ask(&gateway, &key).await.status, 200, "{strategy}");
        }
        gateway.finish(&[&key]).await;
    }
    let output = Gateway::prepare(&setup("\"wieghted\"")).run(&["check"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("routing.strategy") && said.contains("weighted"), "{said}");
}

#[tokio::test]
async fn the_cheapest_is_the_one_whose_model_is_cheapest_where_it_may_run_anywhere() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    // Had it to run in one place, it would be the dearer one.
    let prices = "[[model]]\nname = \"placed\"\ninput = 2\noutput = 2\ninference_geo = { us = 9 }\n\
                  [[model]]\nname = \"plain\"\ninput = 3\noutput = 3\n";
    let setup = Setup::new(
        ["placed", "plain"]
            .map(|name| named(name, &provider).models(&format!(r#"[{{ name = "m", upstream_model = "{name}" }}]"#))),
    )
    .prices(prices)
    .set("routing.strategy", "\"cheapest\"");
    let (gateway, key) = serving(&setup).await;
    for _ in 0..5 {
        assert_eq!(upstream_of(&ask(&gateway, &key).await), "placed");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_strategy_by_success_leaves_a_failing_upstream_alone() {
    let provider = Provider::start(|_, request| {
        if went_to(request, "bad") { Answer::new(500, "text/plain", "no") } else { Wire::Chat.whole("x") }
    })
    .await;
    // The breaker must not be what takes it out.
    let setup = Setup::new([named("bad", &provider), named("good", &provider)])
        .set("routing.strategy", "\"success_rate\"")
        .set("breaker.failures_to_open", "255");
    let (gateway, key) = serving(&setup).await;
    let answers = send_all(&gateway, vec![plain_chat(false).key(&key.key); 60], 1).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let shares = shares(&provider);
    // In turn or at random it would be asked about thirty times.
    assert!(shares.get("bad").copied().unwrap_or(0) < 20, "{shares:?}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_rate_limit_keeps_requests_away_for_exactly_its_time() {
    let provider = Provider::start(|before, request| {
        if went_to(request, "a") && before == 0 {
            Answer::new(429, "application/json", "{}").field("retry-after", "2")
        } else {
            Wire::Chat.whole("x")
        }
    })
    .await;
    let setup = Setup::new([named("a", &provider), named("b", &provider).with("priority = 1")]);
    let (gateway, key) = serving(&setup).await;
    let started = std::time::Instant::now();
    assert_eq!(upstream_of(&ask(&gateway, &key).await), "b");
    assert!(gateway.metrics().await.contains("tollgate_breaker_state{upstream=\"b\"} 0"));
    loop {
        let asked = started.elapsed();
        let answer = ask(&gateway, &key).await;
        assert_eq!(answer.status, 200);
        if upstream_of(&answer) == "a" {
            // Not before its time; afterwards at once, without a probe.
            assert!(started.elapsed().as_millis() >= 2_000 - 50, "{:?}", started.elapsed());
            break;
        }
        assert!(asked.as_secs() < 15, "it never comes back");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(shares(&provider)["a"], 2, "nothing went there in between");
    gateway.finish(&[&key]).await;
}

/// Without a time, too, and answers take long: it is over by itself, not when the first answer has ended.
#[tokio::test]
async fn after_a_rate_limit_several_may_go_there_at_once() {
    let (silent, _steps) = stepped(Wire::Chat.whole("x"));
    let provider = Provider::start(move |before, _| match before {
        0 => Answer::new(429, "application/json", "{}"),
        _ => silent.clone(),
    })
    .await;
    let (gateway, key) = serving(&Setup::new([named("a", &provider)])).await;
    assert_eq!(ask(&gateway, &key).await.status, 429);
    let asking = [(); 3].map(|()| {
        let (address, request) = (gateway.address, plain_chat(false).key(&key.key));
        tokio::spawn(async move {
            loop {
                let client = crate::support::client::Client::connect(address).await.expect("the gateway listens");
                client.send(&request).await;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
    });
    until("all three", || (provider.received().len() == 4).then_some(())).await;
    asking.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_probe_that_takes_long_is_waited_for_a_second() {
    let (silent, steps) = stepped(Wire::Chat.whole("x"));
    let provider = Provider::start(move |before, _| match before {
        0 => Answer::new(500, "text/plain", "no"),
        _ => silent.clone(),
    })
    .await;
    let setup = Setup::new([named("a", &provider)]).set("breaker.failures_to_open", "1").set("breaker.open_ms", "50");
    let (gateway, key) = serving(&setup).await;
    assert_eq!(ask(&gateway, &key).await.status, 500);
    let probe = tokio::spawn({
        let (address, request) = (gateway.address, plain_chat(false).key(&key.key));
        async move {
            loop {
                let client = crate::support::client::Client::connect(address).await.expect("the gateway listens");
                let answer = client.send(&request).await;
                if answer.status == 200 {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    });
    until("the probe", || (provider.received().len() == 2).then_some(())).await;
    let refused = ask(&gateway, &key).await;
    assert_eq!((refused.status, refused.field("retry-after")), (503, Some("1")), "{}", refused.text());
    steps.go_on();
    probe.await.expect("the probe ends");
    gateway.finish(&[&key]).await;
}

/// A dead one that names no time worth the name is not asked by every request.
#[tokio::test]
async fn a_time_that_is_always_over_is_not_believed_for_ever() {
    let provider = Provider::start(|_, request| match went_to(request, "a") {
        true => Answer::new(503, "text/plain", "no").field("retry-after", "0"),
        false => Wire::Chat.whole("x"),
    })
    .await;
    let setup = Setup::new([named("a", &provider), named("b", &provider).with("priority = 1")]);
    let (gateway, key) = serving(&setup).await;
    for _ in 0..40 {
        assert_eq!(upstream_of(&ask(&gateway, &key).await), "b");
    }
    // Twice at once, then after a second, two, four.
    let of_a = shares(&provider)["a"];
    assert!(of_a < 10, "{of_a} of 40");
    gateway.finish(&[&key]).await;
}

/// What one cannot serve is shared evenly by the others.
#[tokio::test]
async fn a_failover_takes_no_turn_of_the_others() {
    let provider = Provider::start(|_, request| match went_to(request, "a") {
        true => Answer::json(404, &json!({"error": {"message": "no such model", "code": "model_not_found"}})),
        false => Wire::Chat.whole("x"),
    })
    .await;
    let setup = Setup::new(["a", "b", "c"].map(|name| named(name, &provider)));
    let (gateway, key) = serving(&setup).await;
    for _ in 0..150 {
        assert_eq!(ask(&gateway, &key).await.status, 200);
    }
    let shares = shares(&provider);
    // 50, and 75 each with a deviation of 3.5; turns that are taken twice give 75, 112 and 37, or the like.
    assert_eq!(shares["a"], 50, "{shares:?}");
    assert!(shares["b"].abs_diff(shares["c"]) < 40, "{shares:?}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_one_may_not_ask_for_keeps_nobody_from_the_other_models_there() {
    let provider = Provider::start(|_, request| match String::from_utf8_lossy(&request.body).contains("\"barred\"") {
        true => Answer::json(403, &json!({"error": {"code": 403, "message": "The caller does not have permission"}})),
        false => Wire::Chat.whole("x"),
    })
    .await;
    let models = r#"[{ name = "m", upstream_model = "open" }, { name = "n", upstream_model = "barred" }]"#;
    let setup = Setup::new([named("a", &provider).models(models)]).set("breaker.failures_to_open", "3").prices(
        "[[model]]\nname = \"open\"\ninput = 1\noutput = 1\n[[model]]\nname = \"barred\"\ninput = 1\noutput = 1\n",
    );
    let (gateway, key) = serving(&setup).await;
    let status = async |model: &str| gateway.send(&Wire::Chat.request_for(model, false).key(&key.key)).await.status;
    for expected in [403, 403, 403, 503] {
        assert_eq!((status("n").await, status("m").await), (expected, 200));
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_rate_limit_of_one_model_keeps_nothing_from_the_others_there() {
    let provider = Provider::start(|_, request| {
        // Its head alone is asked about, too.
        let is_for_big = String::from_utf8_lossy(&request.body).contains("\"big\"");
        match went_to(request, "a") && is_for_big {
            true => Answer::new(429, "application/json", "{}").field("retry-after", "600"),
            false => Wire::Chat.whole("x"),
        }
    })
    .await;
    let models = r#"[{ name = "m", upstream_model = "big" }, { name = "n", upstream_model = "small" },
        { name = "also-big", upstream_model = "big" }]"#;
    let setup = Setup::new([
        named("a", &provider).models(models),
        named("b", &provider).models(models).with("priority = 1"),
    ])
    .prices("[[model]]\nname = \"big\"\ninput = 9\noutput = 9\n[[model]]\nname = \"small\"\ninput = 1\noutput = 1\n");
    let (gateway, key) = serving(&setup).await;
    let took = async |model: &str| {
        let answer = gateway.send(&Wire::Chat.request_for(model, false).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        (upstream_of(&answer), answer.field("x-tollgate-attempts").unwrap_or_default().to_owned())
    };
    let took_of = |upstream: &str, attempts: &str| (upstream.to_owned(), attempts.to_owned());
    assert_eq!(took("m").await, took_of("b", "2"));
    assert_eq!(took("m").await, took_of("b", "1"), "it is known");
    assert_eq!(
        took("also-big").await,
        took_of("b", "1"),
        "it is the provider's model that is limited, whatever we call it"
    );
    assert_eq!(took("n").await, took_of("a", "1"));
    let page = gateway.metrics().await;
    for line in
        ["breaker_state{upstream=\"a\"} 0", "models_limited{upstream=\"a\"} 1", "models_limited{upstream=\"b\"} 0"]
    {
        assert!(page.contains(&format!("tollgate_{line}\n")), "{line}: {page}");
    }
    assert!(gateway.said().contains("upstream a: rate_limited for big (status 429)"), "{}", gateway.said());
    // Of a new snapshot, too.
    gateway.signal("HUP");
    until("the reload is done", || gateway.said().contains("are in force").then_some(())).await;
    assert_eq!((took("m").await, took("n").await), (took_of("b", "1"), took_of("a", "1")));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_strategy_by_success_takes_no_rate_limit_of_one_model_for_anothers() {
    let provider = Provider::start(|_, request| {
        let is_for_big = String::from_utf8_lossy(&request.body).contains("\"big\"");
        match went_to(request, "a") && is_for_big {
            true => Answer::new(429, "application/json", "{}").field("retry-after", "0.01"),
            false => Wire::Chat.whole("x"),
        }
    })
    .await;
    let models = r#"[{ name = "m", upstream_model = "big" }, { name = "n", upstream_model = "small" }]"#;
    let row = |name: &str| format!("[[model]]\nname = \"{name}\"\ninput = 1\noutput = 1\n");
    let setup = Setup::new(["a", "b"].map(|name| named(name, &provider).models(models)))
        .prices(&["big", "small"].map(row).concat())
        .set("routing.strategy", "\"success_rate\"");
    let (gateway, key) = serving(&setup).await;
    let ask = async |model: &str| gateway.send(&Wire::Chat.request_for(model, false).key(&key.key)).await;
    let limited = || provider.received().iter().filter(|request| went_to(request, "a")).count();
    // The time that it names is not believed for long, so that these take seconds.
    while limited() < 4 {
        assert_eq!(ask("m").await.status, 200);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut of_a = 0;
    for _ in 0..60 {
        of_a += usize::from(upstream_of(&ask("n").await) == "a");
    }
    // Were it taken for a failing one: about three.
    assert!(of_a > 15, "{of_a}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_breaker_opens_after_so_many_failures_lets_one_probe_through_and_closes_again() {
    let (slow, steps) = stepped(Wire::Chat.whole("x"));
    let provider = Provider::start(move |before, request| {
        if !went_to(request, "a") {
            return Wire::Chat.whole("x");
        }
        // Three failures, then a probe that takes its time.
        if before < 6 { Answer::new(500, "text/plain", "no") } else { slow.clone() }
    })
    .await;
    let setup = Setup::new([named("a", &provider), named("b", &provider).with("priority = 1")])
        .set("breaker.failures_to_open", "3")
        .set("breaker.open_ms", "400");
    let (gateway, key) = serving(&setup).await;
    for attempts in ["2", "2", "2"] {
        let answer = ask(&gateway, &key).await;
        assert_eq!((upstream_of(&answer).as_str(), answer.field("x-tollgate-attempts")), ("b", Some(attempts)));
    }
    let asked = |name: &str| shares(&provider).get(name).copied().unwrap_or(0);
    assert_eq!(asked("a"), 3);
    // Open; then half-open: the next one that goes there is the probe, and hangs.
    let probe = tokio::spawn({
        let (address, request) = (gateway.address, plain_chat(false).key(&key.key));
        let received = provider.clone();
        async move {
            loop {
                let before = received.received().iter().filter(|request| went_to(request, "a")).count();
                let client = crate::support::client::Client::connect(address).await.expect("the gateway listens");
                let answer = client.send(&request).await;
                if upstream_of(&answer) == "a" {
                    return (before, answer);
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    });
    until("the probe", || (asked("a") == 4).then_some(())).await;
    for _ in 0..10 {
        let answer = ask(&gateway, &key).await;
        let told = (upstream_of(&answer), answer.field("x-tollgate-attempts"));
        assert_eq!(told, ("b".to_owned(), Some("1")), "one probe at a time");
    }
    assert!(gateway.metrics().await.contains("tollgate_breaker_state{upstream=\"a\"} 1"));
    steps.go_on();
    let (before, answer) = probe.await.expect("the probe ends");
    assert_eq!((before, answer.status), (3, 200));
    for _ in 0..5 {
        assert_eq!(upstream_of(&ask(&gateway, &key).await), "a", "closed again");
    }
    assert!(gateway.metrics().await.contains("tollgate_breaker_state{upstream=\"a\"} 0"));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_breaker_stays_open_for_the_configured_time() {
    let provider = Provider::start(|_, request| {
        if went_to(request, "a") { Answer::new(500, "text/plain", "no") } else { Wire::Chat.whole("x") }
    })
    .await;
    let setup = Setup::new([named("a", &provider), named("b", &provider).with("priority = 1")])
        .set("breaker.failures_to_open", "2")
        .set("breaker.open_ms", "600000");
    let (gateway, key) = serving(&setup).await;
    for _ in 0..40 {
        assert_eq!(upstream_of(&ask(&gateway, &key).await), "b");
    }
    assert_eq!(shares(&provider)["a"], 2);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn failures_in_between_successes_open_nothing() {
    let provider =
        Provider::start(
            |before, _| {
                if before % 3 < 2 { Answer::new(500, "text/plain", "no") } else { Wire::Chat.whole("x") }
            },
        )
        .await;
    let setup = Setup::new([named("a", &provider)]).set("breaker.failures_to_open", "3");
    let (gateway, key) = serving(&setup).await;
    for round in 0..10 {
        for status in [500, 500, 200] {
            assert_eq!(ask(&gateway, &key).await.status, status, "round {round}");
        }
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_client_that_leaves_does_not_keep_a_probe_to_itself() {
    let (silent, _steps) = stepped(Wire::Chat.whole("x"));
    let provider = Provider::start(move |before, _| match before {
        0 => Answer::new(500, "text/plain", "no"),
        1 => silent.clone(),
        _ => Wire::Chat.whole("x"),
    })
    .await;
    let setup = Setup::new([named("a", &provider)])
        .set("breaker.failures_to_open", "1")
        .set("breaker.open_ms", "50")
        .set("routing.on_client_disconnect", "\"abort\"");
    let (gateway, key) = serving(&setup).await;
    assert_eq!(ask(&gateway, &key).await.status, 500);
    // The probe's client leaves before there is an answer.
    let probe = tokio::spawn({
        let (address, request) = (gateway.address, plain_chat(false).key(&key.key));
        async move {
            loop {
                let client = crate::support::client::Client::connect(address).await.expect("the gateway listens");
                client.send(&request).await;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    });
    until("the probe", || (provider.received().len() == 2).then_some(())).await;
    probe.abort();
    provider.ended(1).await;
    let started = std::time::Instant::now();
    while ask(&gateway, &key).await.status != 200 {
        assert!(started.elapsed() < crate::support::PATIENCE, "no further probe is let through");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_group_sees_its_own_upstreams_and_models_alone() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([
        named("shared", &provider).with(r#"groups = ["default", "vip"]"#).with("priority = 1"),
        named("vip", &provider).with(r#"groups = ["vip"]"#),
        named("extra", &provider).with(r#"groups = ["vip"]"#).models(r#"["extra"]"#),
    ])
    .set("pricing.unknown_model", "\"allow\"");
    let (gateway, [plain, vip]) = serving_keys(&setup, [("plain", &[]), ("vip", &["--group", "vip"])]).await;
    for _ in 0..5 {
        assert_eq!(upstream_of(&ask(&gateway, &plain).await), "shared");
        assert_eq!(upstream_of(&ask(&gateway, &vip).await), "vip");
    }
    let extra = Wire::Chat.request_for("extra", false);
    assert_eq!(gateway.send(&extra.clone().key(&plain.key)).await.status, 404);
    assert_eq!(gateway.send(&extra.key(&vip.key)).await.status, 200);
    let groups: Vec<_> = gateway.wait_records(11).await.iter().map(|record| record["group"].clone()).collect();
    assert_eq!(groups.iter().filter(|group| *group == "vip").count(), 6);
    gateway.finish(&[&plain, &vip]).await;
}
