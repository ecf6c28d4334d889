//! What an operator changes beside the running server (keys, quotas, prices, configuration) is in force without a restart. A
//! mistake changes nothing, and running requests are not touched.

use crate::calls::{
    COST, INPUT, OUTPUT, TOKENS, Wire, assert_record, number, plain_chat, serving, serving_keys, stepped,
};
use crate::support::client::{Answer as Got, Body, Client};
use crate::support::gateway::{Gateway, PRICES, Setup};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use crate::support::{PATIENCE, until};
use bytes::Bytes;
use serde_json::json;
use std::time::{Duration, Instant};

/// Sends the same request until the answer is as it should be; that it once is must then be so for good.
async fn comes_into_force(gateway: &Gateway, key: &str, wanted: impl Fn(&Got) -> bool) -> Got {
    let started = Instant::now();
    loop {
        let answer = gateway.send(&plain_chat(false).key(key)).await;
        if wanted(&answer) {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "never in force: {} {}", answer.status, answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn code(answer: &Got) -> String {
    if answer.status == 200 { String::new() } else { answer.error_code() }
}

/// Waits for a line of the log.
async fn said(gateway: &Gateway, words: &str) {
    until(words, || gateway.said().contains(words).then_some(())).await;
}

async fn one() -> (Provider, Setup) {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    (provider, setup)
}

#[tokio::test]
async fn keys_are_disabled_enabled_rotated_and_deleted_beside_the_server() {
    let (_provider, setup) = one().await;
    let (gateway, key) = serving(&setup).await;
    comes_into_force(&gateway, &key.key, |answer| answer.status == 200).await;
    gateway.run_json(&["key", "disable", "tester", "--json"]);
    comes_into_force(&gateway, &key.key, |answer| code(answer) == "AUTH_INVALID_TOKEN").await;
    gateway.run_json(&["key", "enable", "tester", "--json"]);
    comes_into_force(&gateway, &key.key, |answer| answer.status == 200).await;
    let rotated = gateway.run_json(&["key", "rotate", "tester", "--json"]).remove(0);
    let new = rotated["key"].as_str().expect("the new secret").to_owned();
    comes_into_force(&gateway, &new, |answer| answer.status == 200).await;
    comes_into_force(&gateway, &key.key, |answer| code(answer) == "AUTH_INVALID_TOKEN").await;
    gateway.run_json(&["key", "delete", "tester", "--json"]);
    comes_into_force(&gateway, &new, |answer| code(answer) == "AUTH_INVALID_TOKEN").await;
    let late = gateway.key("late", &[]).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&late.key)).await.status, 200, "a new key, made beside the server");
    gateway.finish(&[&key, &late]).await;
}

/// Found in force with the head, and not any more when the body is there.
#[tokio::test]
async fn a_key_that_ends_while_a_body_arrives_is_not_served() {
    let (provider, setup) = one().await;
    let names = ["disabled", "deleted", "expired"];
    let (gateway, keys) = serving_keys(&setup, names.map(|name| (name, &[] as &[&str]))).await;
    let ends: [(&[&str], _); 3] = [
        (&["key", "disable", "disabled", "--json"], "AUTH_INVALID_TOKEN"),
        (&["key", "delete", "deleted", "--json"], "AUTH_INVALID_TOKEN"),
        (&["key", "set", "expired", "--expires", "2020-01-01", "--json"], "TOKEN_EXPIRED"),
    ];
    for (key, (end, wanted)) in keys.iter().zip(ends) {
        let body = Bytes::from(Wire::Chat.body("m", false).to_string());
        let request = Wire::Chat.request(false).key(&key.key).body(Body::Expect(body.clone()));
        let mut client = Client::connect(gateway.address).await.expect("the gateway listens").announce(&request).await;
        gateway.run_json(end);
        comes_into_force(&gateway, &key.key, |answer| code(answer) == wanted).await;
        let sent = provider.received().len();
        client.write(&body).await.expect("a connection");
        let answer = client.receive().await;
        assert_eq!((answer.status, &*code(&answer)), (401, wanted), "{end:?}");
        assert_eq!(provider.received().len(), sent, "{end:?}");
    }
    gateway.finish(&keys.each_ref()).await;
}

#[tokio::test]
async fn limits_of_a_key_change_beside_the_server_and_keep_what_it_spent() {
    let (_provider, setup) = one().await;
    let setup = setup.upstream(
        crate::support::gateway::Upstream::new("g", "openai", "http://127.0.0.1:9/v1")
            .with(r#"groups = ["other"]"#)
            .models(r#"["elsewhere"]"#),
    );
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "1"])]).await;
    let set = |arguments: &[&str]| drop(gateway.run_json(&[&["key", "set", "k", "--json"], arguments].concat()));
    comes_into_force(&gateway, &key.key, |answer| answer.status == 200).await;
    set(&["--quota-usd", "0.0001"]);
    comes_into_force(&gateway, &key.key, |answer| code(answer) == "QUOTA_INSUFFICIENT").await;
    set(&["--quota-usd", "1"]);
    comes_into_force(&gateway, &key.key, |answer| answer.status == 200).await;
    set(&["--models", "nothing"]);
    comes_into_force(&gateway, &key.key, |answer| code(answer) == "FORBIDDEN").await;
    set(&["--all-models", "--group", "other"]);
    comes_into_force(&gateway, &key.key, |answer| code(answer) == "MODEL_NOT_FOUND").await;
    set(&["--group", "default", "--expires", "2020-01-01"]);
    comes_into_force(&gateway, &key.key, |answer| code(answer) == "TOKEN_EXPIRED").await;
    set(&["--expires", "never", "--unlimited", "--name", "renamed"]);
    comes_into_force(&gateway, &key.key, |answer| answer.status == 200).await;
    // Three were served; however its limits changed, it is one balance.
    let balance = || {
        let billed: i64 = gateway.records().iter().map(|record| number(record, "cost_nanos")).sum();
        let spent = number(&gateway.key_row("renamed"), "spent_nanos");
        (spent == billed && spent >= 3 * COST).then_some(())
    };
    until("the balance in the store", balance).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_key_shows_when_it_was_last_used() {
    let (_provider, setup) = one().await;
    let (gateway, [used, unused]) = serving_keys(&setup, [("used", &[]), ("unused", &[])]).await;
    assert!(gateway.key_row("used")["accessed_at"].is_null());
    comes_into_force(&gateway, &used.key, |answer| answer.status == 200).await;
    until("the time of use", || gateway.key_row("used")["accessed_at"].is_string().then_some(())).await;
    assert!(gateway.key_row("unused")["accessed_at"].is_null());
    gateway.finish(&[&used, &unused]).await;
}

#[tokio::test]
async fn a_new_price_is_in_force_at_once_and_a_running_stream_keeps_the_old_one() {
    let (slow, steps) = stepped(Wire::Chat.stream(&TOKENS));
    let provider =
        Provider::start(move |before, _| if before == 0 { slow.clone() } else { Wire::Chat.whole("x") }).await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    steps.go(2);
    let mut running = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    running.piece().await.expect("the first token");
    let output = gateway.run(&["price", "set", "m", "--input", "10", "--output", "20"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let started = Instant::now();
    let new = loop {
        let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
        let record = gateway.record_of(&answer).await;
        match number(&record, "cost_nanos") {
            200_000 => break record["price_version"].clone(),
            cost => assert_eq!(cost, COST, "the old price or the new one, nothing between"),
        }
        assert!(started.elapsed() < PATIENCE, "the new price never comes into force");
    };
    steps.go_on();
    let (answer, _) = running.rest().await;
    let record = gateway.record_of(&answer).await;
    assert_record(
        &record,
        json!({"outcome": "ok", "cost_nanos": COST, "input_tokens": INPUT, "output_tokens": OUTPUT}),
    );
    assert_ne!(record["price_version"], new, "the version of admission");
    // What else stood in the file is still there.
    assert!(gateway.read("pricing.toml").contains("max_output_tokens = 1000"), "{}", gateway.read("pricing.toml"));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_model_gets_its_first_price_beside_the_server() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices("");
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "5"])]).await;
    let refused = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_eq!(code(&refused), "PRICE_MISSING");
    std::fs::remove_file(gateway.path("pricing.toml")).expect("the file is there");
    let output = gateway.run(&["price", "set", "m", "--input", "1", "--output", "2"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer = comes_into_force(&gateway, &key.key, |answer| answer.status == 200).await;
    assert_eq!(number(&gateway.record_of(&answer).await, "cost_nanos"), COST);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_price_file_with_a_mistake_changes_nothing_and_the_log_says_where_it_is() {
    let (_provider, setup) = one().await;
    let (gateway, key) = serving(&setup).await;
    let before = comes_into_force(&gateway, &key.key, |answer| answer.status == 200).await;
    let version = gateway.record_of(&before).await["price_version"].clone();
    // Half saved: the row lacks its output price.
    gateway.write("pricing.toml", "[[model]]\nname = \"m\"\ninput = 99\n");
    said(&gateway, "pricing.toml:1").await;
    let after = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_record(&gateway.record_of(&after).await, json!({"cost_nanos": COST, "price_version": version}));
    assert!(gateway.metric("tollgate_reloads_total", &["refused"]).await >= 1.0);
    gateway.write("pricing.toml", &PRICES.replace("input = 1\n", "input = 2\n"));
    let started = Instant::now();
    loop {
        let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
        if number(&gateway.record_of(&answer).await, "cost_nanos") == COST + INPUT as i64 * 1_000 {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "the mended file never comes into force");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_configuration_with_a_mistake_changes_nothing_and_a_good_one_is_in_force_without_a_restart() {
    let (provider, setup) = one().await;
    let other = Provider::always(Wire::Chat.whole("other")).await;
    let (gateway, key) = serving(&setup).await;
    let config = gateway.read("tollgate.toml");
    let mistakes = [
        (format!("{config}\n[routing]\nstrategi = \"weighted\"\n"), "strategi"),
        (config.replace("models = [\"m\"]", "models = [\"m\""), "expected"),
        (config.replace("provider = \"openai\"", "provider = \"opneai\""), "unknown provider"),
        (config.replace("base_url = \"http://", "base_url = \"ftp://"), "base_url"),
    ];
    for (index, (text, words)) in mistakes.iter().enumerate() {
        gateway.write("tollgate.toml", text);
        let started = Instant::now();
        while (gateway.metric("tollgate_reloads_total", &["refused"]).await as usize) <= index {
            assert!(started.elapsed() < PATIENCE, "{words}: not refused");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        said(&gateway, words).await;
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200, "{words}");
    }
    assert!(!gateway.said().contains("provider-secret"), "{}", gateway.said());
    let next = config
        .replace(&provider.address.to_string(), &other.address.to_string())
        .replace("name = \"u\"", "name = \"v\"");
    gateway.write("tollgate.toml", &next);
    let answer = comes_into_force(&gateway, &key.key, |answer| answer.field("x-tollgate-upstream") == Some("v")).await;
    assert!(answer.text().contains("other"));
    // A stream that began under the old configuration ends under it; see the test of prices.
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn sighup_reads_everything_again() {
    let (_provider, setup) = one().await;
    let (gateway, key) = serving(&setup).await;
    assert_eq!(gateway.metric("tollgate_reloads_total", &["ok"]).await, 0.0);
    gateway.signal("HUP");
    gateway.reloaded(1).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn breakers_outlive_a_reload() {
    let provider = Provider::start(|_, request| {
        if request.target.starts_with("/bad") { Answer::new(500, "text/plain", "no") } else { Wire::Chat.whole("x") }
    })
    .await;
    let upstream =
        |name: &str| crate::support::gateway::Upstream::new(name, "openai", provider.url(&format!("/{name}/v1")));
    let setup = Setup::new([upstream("bad"), upstream("good").with("priority = 1")])
        .set("breaker.failures_to_open", "1")
        .set("breaker.open_ms", "600000");
    let (gateway, key) = serving(&setup).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    gateway.signal("HUP");
    said(&gateway, "are in force").await;
    for _ in 0..5 {
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.field("x-tollgate-attempts"), Some("1"));
    }
    let asked = provider.received().iter().filter(|request| request.target.starts_with("/bad")).count();
    assert_eq!(asked, 1, "what is open stays open over a reload");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_reload_has_it_found_out_whether_a_dead_key_is_mended() {
    let provider = Provider::start(|before, _| match before {
        0 | 1 => Answer::json(401, &json!({"error": {"message": "no such key", "code": "invalid_api_key"}})),
        _ => Wire::Chat.whole("x"),
    })
    .await;
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)])).await;
    let status = async || gateway.send(&plain_chat(false).key(&key.key)).await.status;
    assert_eq!([status().await, status().await], [401, 503]);
    for (reloads, found) in [(1, 401), (2, 200)] {
        gateway.signal("HUP");
        gateway.reloaded(reloads).await;
        assert_eq!(status().await, found, "the provider has been asked");
    }
    assert_eq!(status().await, 200);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_upstream_that_is_taken_out_has_no_breaker_on_the_metrics_page_any_more() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new(["stays", "goes"].map(|name| Wire::Chat.upstream(name, &provider)));
    let (gateway, key) = serving(&setup).await;
    let shown = async |name: &str| {
        gateway.metrics().await.contains(&format!("tollgate_breaker_state{{upstream=\"{name}\"}} 0"))
    };
    assert!(shown("stays").await && shown("goes").await);
    let fewer = Setup::new([Wire::Chat.upstream("stays", &provider)]);
    gateway.write("tollgate.toml", &fewer.config(gateway.address, gateway.metrics_address));
    gateway.signal("HUP");
    said(&gateway, "are in force").await;
    assert!(shown("stays").await && !shown("goes").await);
    gateway.finish(&[&key]).await;
}
