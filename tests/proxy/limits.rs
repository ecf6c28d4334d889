//! Rate limits, as one client after the other meets them.

use crate::calls::{INPUT, OUTPUT, Wire, plain_chat, serving, serving_keys, stepped};
use crate::support::client::{Answer, Request};
use crate::support::gateway::{Setup, Upstream};
use crate::support::h2c;
use crate::support::provider::{ClosedPort, Provider};
use std::time::{Duration, Instant};

/// A window that no test outlasts.
const HOUR: &str = "window_ms = 3600000";

/// Asks until it is so.
async fn eventually(what: &str, done: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !done().await {
        assert!(started.elapsed() < crate::support::PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn chat() -> (Provider, Setup) {
    let provider = Provider::start(|_, request| Wire::Chat.answer(crate::calls::wants_stream(request))).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    (provider, setup)
}

fn assert_refused(answer: &Answer) {
    assert_eq!((answer.status, &*answer.error_code()), (429, "RATE_LIMIT_EXCEEDED"), "{}", answer.text());
    assert_eq!(answer.field("x-tollgate-rejected-by"), Some("rate_limit"));
    let seconds: u64 = answer.field("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
    assert!(seconds >= 1);
    // Nobody should sleep for longer within one call, nor ask again for what will never be given.
    let never = answer.text().contains("larger than the limit allows");
    assert_eq!(answer.field("x-should-retry"), (never || seconds > 120).then_some("false"), "{seconds} s");
}

fn number(answer: &Answer, field: &str) -> u64 {
    answer.field(field).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{field} in {:?}", answer.fields))
}

#[tokio::test]
async fn limits_are_told_once_and_not_the_upstreams_whatever_the_client_speaks() {
    let answer = |stream| {
        let answer = Wire::Chat.answer(stream);
        answer.field("x-ratelimit-limit-requests", "77").field("x-ratelimit-reset-tokens", "7ms").field("x-more", "8")
    };
    let provider = Provider::start(move |_, request| answer(crate::calls::wants_stream(request))).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    let (gateway, key) = serving_keys(&setup, [("k", &["--rpm", "100"])]).await;
    let [key] = key;
    let mut left = 100;
    for stream in [false, true] {
        for over_http2 in [false, true] {
            let request = plain_chat(stream).key(&key.key);
            let answer =
                if over_http2 { h2c::send(gateway.address, &request).await } else { gateway.send(&request).await };
            left -= 1;
            let told = |name: &str| {
                let told = answer.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
                told.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
            };
            assert_eq!((answer.status, told("x-more")), (200, vec!["8"]));
            assert_eq!(told("x-ratelimit-limit-requests"), ["100"], "stream {stream}, HTTP/2 {over_http2}");
            assert_eq!(told("x-ratelimit-remaining-requests"), [left.to_string()]);
            assert_eq!(told("x-ratelimit-reset-requests").len(), 1);
            assert!(told("x-ratelimit-reset-tokens").is_empty(), "it is the upstream's");
            assert!(!answer.body().is_empty(), "and the head ends where it did");
        }
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_keys_limits_are_told_with_every_answer_and_refuse_in_the_callers_dialect() {
    let (provider, setup) = chat().await;
    let setup = setup.upstream(Wire::Messages.upstream("a", &provider).models("[\"claude\"]"));
    let (gateway, [key, free]) = serving_keys(&setup, [("k", &["--rpm", "3"]), ("free", &[])]).await;
    for left in [2, 1, 0] {
        let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(number(&answer, "x-ratelimit-limit-requests"), 3);
        assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), left);
        assert!(answer.field("x-ratelimit-reset-requests").is_some_and(|text| text.ends_with('s')));
        assert_eq!(answer.field("x-ratelimit-limit-tokens"), None, "there is no such limit");
    }
    let refused = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_refused(&refused);
    assert_eq!(number(&refused, "x-ratelimit-remaining-requests"), 0);
    assert!((1..=61).contains(&number(&refused, "retry-after")));
    let refused = gateway.send(&Wire::Messages.request_for("claude", false).key(&key.key)).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["type"], "error");
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
    let answer = gateway.send(&plain_chat(false).key(&free.key)).await;
    assert_eq!((answer.status, answer.field("x-ratelimit-limit-requests")), (200, None));
    assert_eq!(gateway.wait_records(4).await.len(), 4, "what is refused has no record");
    assert_eq!(gateway.metric("tollgate_rejected_total", &["RATE_LIMIT_EXCEEDED"]).await, 2.0);
}

#[tokio::test]
async fn a_keys_own_limit_lowers_a_rule_and_never_raises_it() {
    let (_provider, setup) = chat().await;
    let setup = setup.set("plugins.rate-limit.rules", "[{ per = \"key\", limit = \"requests\", max = 2 }]");
    let keys: [(&str, &[&str]); 3] = [("plain", &[]), ("more", &["--rpm", "1000000"]), ("less", &["--rpm", "1"])];
    let (gateway, keys) = serving_keys(&setup, keys).await;
    for (key, allowed) in keys.iter().zip([2, 2, 1]) {
        for turn in 0..3 {
            let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
            let expected = if turn < allowed { 200 } else { 429 };
            assert_eq!(answer.status, expected, "{} {turn}", key.key);
            assert_eq!(number(&answer, "x-ratelimit-limit-requests"), allowed);
        }
    }
}

#[tokio::test]
async fn tokens_are_taken_by_estimate_and_corrected_by_what_was_used_in_streams_too() {
    let (_provider, setup) = chat().await;
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--tpm", "1000"])]).await;
    let taken = |answer: &Answer| 1_000 - number(answer, "x-ratelimit-remaining-tokens");
    let mut before = 0;
    for stream in [false, true, true] {
        let answer = gateway.send(&plain_chat(stream).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        // The limit of 100 tokens of output, and the prompt.
        assert!((before + 100..before + 130).contains(&taken(&answer)), "{} after {before}", taken(&answer));
        before += INPUT + OUTPUT;
    }
    // A request that is larger than the limit alone never passes.
    let mut body = Wire::Chat.body("m", false);
    body["max_tokens"] = serde_json::json!(5_000);
    let request = crate::support::client::Request::post("/v1/chat/completions", &body);
    let never = gateway.send(&request.key(&key.key)).await;
    assert_refused(&never);
    let said = never.text();
    assert!(said.contains("The request is larger than the limit allows for ") && !said.contains("try again"), "{said}");
}

#[tokio::test]
async fn places_come_back_when_a_stream_ends_or_its_client_leaves() {
    for leaves in [false, true] {
        let (answer, steps) = stepped(Wire::Chat.stream(&["a", "b"]));
        let provider = Provider::start(move |_, request| match crate::calls::wants_stream(request) {
            true => answer.clone(),
            false => Wire::Chat.whole("x"),
        })
        .await;
        let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
        let (gateway, [key]) = serving_keys(&setup, [("k", &["--concurrency", "1"])]).await;
        let request = Wire::Chat.request(true).key(&key.key);
        steps.go(2);
        let mut running = gateway.open(&request).await;
        running.piece().await.expect("the first token");
        let refused = gateway.send(&request).await;
        assert_refused(&refused);
        let told =
            ["limit", "remaining", "reset"].map(|what| refused.field(&format!("x-ratelimit-{what}-concurrency")));
        assert_eq!(told, [Some("1"), Some("0"), Some("1s")]);
        if leaves {
            // What is still read of the stream is read for the gateway alone.
            running.close();
            let other = plain_chat(false).key(&key.key);
            eventually("the place of who left", async || gateway.send(&other).await.status == 200).await;
            assert_eq!(gateway.metric("tollgate_drains_running", &[]).await, 1.0);
            steps.go_on();
            eventually("the end of the drain", async || gateway.records().len() == 2).await;
            // It has given its place back once.
            assert_eq!(gateway.send(&other).await.status, 200);
        } else {
            steps.go_on();
            running.rest().await;
            assert_eq!(gateway.send(&request).await.status, 200, "the place came back with the end of the stream");
        }
    }
}

#[tokio::test]
async fn rules_concern_whom_they_name_and_counts_outlive_a_reload() {
    let (provider, setup) = chat().await;
    let rules = |max: u64| {
        let row = |per: &str, limit: &str, max: String, name: &str| {
            format!("{{ per = \"{per}\", limit = \"{limit}\", max = {max}, names = [\"{name}\"], {HOUR} }}")
        };
        let rows = [
            row("key", "requests", max.to_string(), "one"),
            row("user", "output_tokens", "210".to_owned(), "ann"),
            row("key", "spend_usd", "\"0.0005\"".to_owned(), "poor"),
        ];
        format!("[{}]", rows.join(", "))
    };
    let setup = setup.set("plugins.rate-limit.rules", &rules(2));
    let keys: [(&str, &[&str]); 5] =
        [("one", &[]), ("other", &[]), ("ann-1", &["--user", "ann"]), ("ann-2", &["--user", "ann"]), ("poor", &[])];
    let (gateway, [one, other, ann_1, ann_2, poor]) = serving_keys(&setup, keys).await;
    let status = async |key: &str| gateway.send(&plain_chat(false).key(key)).await.status;
    assert_eq!([status(&one.key).await, status(&one.key).await, status(&one.key).await], [200, 200, 429]);
    assert_eq!([status(&other.key).await, status(&other.key).await, status(&other.key).await], [200, 200, 200]);
    // Each is taken for 100 tokens and comes to 5: of 210, there is room for a hundred until 110 are used.
    for nth in 0..22 {
        let key = if nth % 2 == 0 { &ann_1 } else { &ann_2 };
        assert_eq!(status(&key.key).await, 200, "request {nth}");
    }
    let refused = gateway.send(&plain_chat(false).key(&ann_1.key)).await;
    assert_eq!(refused.status, 200, "110 are used");
    assert_refused(&gateway.send(&plain_chat(false).key(&ann_2.key)).await);
    // 0.0005 USD; each holds more than 0.0002 and comes to 0.00002: 25 of them would be it, without what is held.
    let mut passed = 0;
    while status(&poor.key).await == 200 {
        passed += 1;
    }
    assert!((5..15).contains(&passed), "{passed}");
    let setup = setup.set("plugins.rate-limit.rules", &rules(3));
    gateway.write("tollgate.toml", &setup.config(gateway.address, gateway.metrics_address));
    gateway.reloaded(1).await;
    assert_eq!([status(&one.key).await, status(&one.key).await], [200, 429], "two of three were used before");
    drop(provider);
}

#[tokio::test]
async fn a_rules_window_passes() {
    let (_provider, setup) = chat().await;
    let rules = r#"[{ per = "key", limit = "requests", max = 1, window_ms = 1000 }]"#;
    let (gateway, key) = serving(&setup.set("plugins.rate-limit.rules", rules)).await;
    let request = plain_chat(false).key(&key.key);
    let statuses = async || [gateway.send(&request).await.status, gateway.send(&request).await.status];
    // Two that fall into one window, whatever the machine does meanwhile; then there is room again.
    eventually("a refusal", async || statuses().await.contains(&429)).await;
    eventually("room in the next window", async || gateway.send(&request).await.status == 200).await;
}

#[tokio::test]
async fn counting_tokens_takes_a_request_of_the_limits_wherever_it_is_done() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    // An upstream that speaks chat alone.
    let setup = Setup::new([Upstream::new("u", "nvidia", provider.url("/v1"))]);
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--rpm", "3"])]).await;
    let body = |name: &str| serde_json::json!({"model": "m", name: [{"role": "user", "content": "hello"}]});
    let contents = serde_json::json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]});
    let requests = [
        Request::post("/v1/messages/count_tokens", &body("messages")),
        Request::post("/v1/responses/input_tokens", &body("input")),
        Request::post("/v1beta/models/m:countTokens", &contents),
    ]
    .map(|request| request.key(&key.key));
    for (request, left) in requests.iter().zip([2, 1, 0]) {
        let answer = gateway.send(request).await;
        assert_eq!(
            (answer.status, answer.field("x-tollgate-estimated")),
            (200, Some("tokenizer")),
            "{}",
            answer.text()
        );
        assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), left);
    }
    for request in &requests {
        let refused = gateway.send(request).await;
        assert_eq!(refused.status, 429, "{}", refused.text());
        assert_eq!(number(&refused, "x-ratelimit-remaining-requests"), 0);
    }
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 429);
    assert!(provider.received().is_empty());
}

#[tokio::test]
async fn an_upstream_at_its_limit_gives_way_to_the_next_and_is_no_failure() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let first = Wire::Chat.upstream("first", &provider);
    let second = Wire::Chat.upstream("second", &provider).with("priority = 1");
    let rules = format!(
        "[{{ per = \"upstream\", limit = \"requests\", max = 2, names = [\"first\"], {HOUR} }}, \
          {{ per = \"upstream\", limit = \"requests\", max = 1, names = [\"second\"], {HOUR} }}]"
    );
    let (gateway, key) = serving(&Setup::new([first, second]).set("plugins.rate-limit.rules", &rules)).await;
    let mut upstreams = Vec::new();
    for _ in 0..3 {
        let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
        assert_eq!((answer.status, answer.field("x-tollgate-attempts")), (200, Some("1")));
        upstreams.push(answer.field("x-tollgate-upstream").expect("a name").to_owned());
    }
    assert_eq!(upstreams, ["first", "first", "second"]);
    let refused = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_refused(&refused);
    assert!(!refused.text().contains("limit 2"), "{}", refused.text());
    assert_eq!(gateway.wait_records(3).await.len(), 3);
    for upstream in ["first", "second"] {
        assert_eq!(gateway.metric("tollgate_breaker_state", &[upstream]).await, 0.0);
    }
}

/// More of them than a request can make attempts.
#[tokio::test]
async fn many_upstreams_that_cannot_be_asked_hide_no_other() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let names: Vec<String> = (0..20).map(|nth| format!("a{nth}")).collect();
    let spare = || Wire::Chat.upstream("spare", &provider).with("priority = 1");

    let busy = names.iter().map(|name| Wire::Chat.upstream(name, &provider)).chain([spare()]);
    let rule = format!("[{{ per = \"upstream\", limit = \"requests\", max = 1, names = {names:?}, {HOUR} }}]");
    let (gateway, key) = serving(&Setup::new(busy).set("plugins.rate-limit.rules", &rule)).await;
    for nth in 0..22 {
        let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
        let of_spare = answer.field("x-tollgate-upstream").map(|name| name == "spare");
        assert_eq!((answer.status, of_spare), (200, Some(nth >= 20)), "{nth}: {}", answer.text());
    }

    // Anthropic's Messages give one answer.
    let mute = names.iter().map(|name| Wire::Messages.upstream(name, &provider).models("[\"m\"]")).chain([spare()]);
    let (gateway, key) = serving(&Setup::new(mute)).await;
    let two = serde_json::json!({"model": "m", "n": 2, "messages": [{"role": "user", "content": "hi"}]});
    let answer = gateway.send(&Request::post("/v1/chat/completions", &two).key(&key.key)).await;
    assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some("spare")), "{}", answer.text());
}

#[tokio::test]
async fn an_upstreams_spend_limit_goes_by_what_the_request_costs_there() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    // At most about 0.002 USD at the cheap one, and a hundred times that at the dear one.
    for first in ["cheap", "dear"] {
        let placed = |name: &str, more: &str| {
            let priority = u8::from(name != first);
            Wire::Chat.upstream(name, &provider).with(&format!("priority = {priority}\n{more}"))
        };
        let rule =
            format!("[{{ per = \"upstream\", limit = \"spend_usd\", max = \"0.01\", names = [\"{first}\"], {HOUR} }}]");
        let setup = Setup::new([placed("cheap", ""), placed("dear", "price_multiplier = 100")]);
        let (gateway, key) = serving(&setup.set("plugins.rate-limit.rules", &rule)).await;
        let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
        assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some("cheap")), "first: {first}");
    }
}

#[tokio::test]
async fn a_refusal_says_when_the_request_passes_all_limits_that_are_full() {
    let minute = |per: &str, limit: &str, max: u64| format!("{{ per = \"{per}\", limit = \"{limit}\", max = {max} }}");
    let hour = |per: &str, limit: &str, max: u64| minute(per, limit, max).replace(" }", &format!(", {HOUR} }}"));
    // Each answer comes to 5 tokens, and is taken for a hundred.
    for (rules, longest) in [
        ([minute("key", "requests", 1), hour("key", "output_tokens", 104)], "for output tokens of this key in 1h0m0s"),
        ([hour("key", "requests", 1), minute("key", "output_tokens", 104)], "for requests of this key in 1h0m0s"),
        ([minute("key", "requests", 1), hour("user", "requests", 1)], "for requests of this user in 1h0m0s"),
        ([hour("key", "requests", 1), minute("user", "requests", 1)], "for requests of this key in 1h0m0s"),
        (
            [hour("key", "requests", 1), minute("key", "concurrency", 0)],
            "is larger than the limit allows for requests at once",
        ),
    ] {
        let (_provider, setup) = chat().await;
        let setup = setup.set("plugins.rate-limit.rules", &format!("[{}]", rules.join(", ")));
        let (gateway, [key]) = serving_keys(&setup, [("k", &["--user", "ann"])]).await;
        let request = plain_chat(false).key(&key.key);
        gateway.send(&request).await;
        let refused = gateway.send(&request).await;
        assert_refused(&refused);
        assert!(refused.text().contains(longest), "{rules:?}: {}", refused.text());
        let is_long = longest.contains("1h");
        assert_eq!((3_500..=3_700).contains(&number(&refused, "retry-after")), is_long, "{:?}", refused.fields);
    }
}

#[tokio::test]
async fn where_no_upstream_has_room_the_first_that_will_have_some_is_waited_for() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let closed = ClosedPort::new();
    let limited = |upstream: &str, more: &str| {
        format!("{{ per = \"upstream\", limit = \"requests\", max = 1, names = [\"{upstream}\"]{more} }}")
    };
    let long = format!(", {HOUR}");
    for rules in [[limited("a", ""), limited("b", &long)], [limited("a", &long), limited("b", "")]] {
        let setup =
            Setup::new([Wire::Chat.upstream("a", &provider), Wire::Chat.upstream("b", &provider).with("priority = 1")]);
        let setup = setup.set("plugins.rate-limit.rules", &format!("[{}]", rules.join(", ")));
        let (gateway, key) = serving(&setup).await;
        let request = plain_chat(false).key(&key.key);
        assert_eq!([gateway.send(&request).await.status, gateway.send(&request).await.status], [200, 200]);
        let refused = gateway.send(&request).await;
        assert_refused(&refused);
        assert!((1..=63).contains(&number(&refused, "retry-after")), "{rules:?}: {:?}", refused.fields);
    }
    // The other one is down, for less long than the first one has no room, or for longer.
    for (rule, open_ms, status) in [(limited("a", &long), "60000", 503), (limited("a", ""), "3600000", 429)] {
        let setup = Setup::new([
            Wire::Chat.upstream("a", &provider),
            Wire::Chat.upstream_at("down", closed.address).with("priority = 1"),
        ])
        .set("plugins.rate-limit.rules", &format!("[{rule}]"))
        .set("breaker.failures_to_open", "1")
        .set("breaker.open_ms", open_ms);
        let (gateway, key) = serving(&setup).await;
        let request = plain_chat(false).key(&key.key);
        assert_eq!([gateway.send(&request).await.status, gateway.send(&request).await.status], [200, 503]);
        let refused = gateway.send(&request).await;
        assert_eq!(refused.status, status, "{}", refused.text());
        assert!((1..=63).contains(&number(&refused, "retry-after")), "{open_ms}: {:?}", refused.fields);
    }
}

#[test]
fn a_rule_with_a_mistake_is_named() {
    for (rules, said) in [
        (
            "[{ per = \"team\", limit = \"requests\", max = 1 }]",
            "rules[0].per: unknown word, expected `key`, `user` or `upstream`",
        ),
        ("[{ per = \"key\", limit = \"requests\", max = -1 }]", "rules[0].max: expected a whole number"),
        ("[{ per = \"key\", limit = \"spend_usd\", max = 1.5 }]", "rules[0].max: expected USD as 5 or"),
        (
            "[{ per = \"key\", limit = \"tokens\", max = 1, window_ms = 5 }]",
            "rules[0].window_ms: the number is too small, expected a whole number of milliseconds from 1000 to",
        ),
        ("[{ per = \"key\", limit = \"concurrency\", max = 1, window_ms = 5000 }]", "have no window"),
    ] {
        let gateway = crate::support::gateway::Gateway::prepare(&Setup::new([]).set("plugins.rate-limit.rules", rules));
        let output = gateway.run(&["check"]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("plugins.rate-limit") && stderr.contains(said), "{rules}: {stderr}");
    }
}
