//! `GET /v1/user`: whom a credential stands for, and what is left to spend.

use crate::calls::{COST, Wire, plain_chat, serving_keys, stepped};
use crate::support::client::Request;
use crate::support::gateway::Setup;
use crate::support::provider::Provider;
use crate::support::until;
use serde_json::{Value, json};

const PAGE: &str = "/v1/user";
/// 0.05 USD.
const QUOTA: i64 = 50_000_000;

#[tokio::test]
async fn a_caller_is_told_who_it_is_and_what_is_left_whatever_the_place_of_its_key() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    let limited: &[&str] = &[
        "--quota-usd",
        "0.05",
        "--user",
        "team",
        "--models",
        "m,n",
        "--rpm",
        "10",
        "--tpm",
        "1000000",
        "--concurrency",
        "3",
        "--expires",
        "2100-01-01T00:00:00Z",
    ];
    let (gateway, [ann, bob, poor]) =
        serving_keys(&setup, [("ann", limited), ("bob", &[]), ("poor", &["--quota-usd", "0.00001"])]).await;
    let mut expected = json!({
        "id": ann.id, "name": "ann", "user": "team", "group": "default", "models": ["m", "n"], "quota_nanos": QUOTA,
        "spent_nanos": 0, "held_nanos": 0, "remaining_nanos": QUOTA, "expires_at": "2100-01-01T00:00:00.000Z",
        "rpm": 10, "tpm": 1_000_000, "concurrency": 3,
    });
    let keyed = [
        Request::get(PAGE).key(&ann.key),
        Request::get(PAGE).field("x-api-key", &ann.key),
        Request::get(PAGE).field("x-goog-api-key", &ann.key),
        Request::get(PAGE).field("api-key", &ann.key),
        Request::get(&format!("{PAGE}?key={}", ann.key)),
        Request::get(&format!("{PAGE}/")).key(&ann.key),
    ];
    for request in &keyed {
        let answer = gateway.send(request).await;
        assert_eq!((answer.status, answer.json()), (200, expected.clone()), "{request:?}");
        let fields = [answer.field("content-type"), answer.field("cache-control")];
        assert_eq!(fields, [Some("application/json"), Some("no-store")]);
        assert!(answer.field("x-request-id").is_some() && !answer.text().contains("sk-tg-"), "{}", answer.text());
    }
    assert_eq!(gateway.send(&Request::new("HEAD", PAGE).key(&ann.key)).await.status, 200);
    assert_eq!(gateway.send(&plain_chat(false).key(&ann.key)).await.status, 200);
    (expected["spent_nanos"], expected["remaining_nanos"]) = (json!(COST), json!(QUOTA - COST));
    assert_eq!(gateway.send(&keyed[0]).await.json(), expected, "at once");
    let unlimited = gateway.send(&Request::get(PAGE).key(&bob.key)).await.json();
    for field in ["user", "quota_nanos", "remaining_nanos", "expires_at", "rpm", "tpm", "concurrency"] {
        assert_eq!(unlimited[field], Value::Null, "{field}");
    }
    assert_eq!((&unlimited["name"], &unlimited["models"]), (&json!("bob"), &json!([])));
    // Nothing that it may ask for costs as little, but who it is it may know.
    assert_eq!(gateway.send(&plain_chat(false).key(&poor.key)).await.status, 402);
    assert_eq!(gateway.send(&Request::get(PAGE).key(&poor.key)).await.json()["remaining_nanos"], 10_000);
    gateway.finish(&[&ann, &bob, &poor]).await;
}

#[tokio::test]
async fn what_is_held_is_shown_while_it_is_held() {
    let (answer, steps) = stepped(Wire::Chat.whole("x"));
    let provider = Provider::always(answer).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "0.05"])]).await;
    let shown = async || gateway.send(&Request::get(PAGE).key(&key.key)).await.json();
    let asked = plain_chat(false).key(&key.key);
    let (answer, held) = tokio::join!(gateway.send(&asked), async {
        until("the request is upstream", || provider.received().first().map(drop)).await;
        let shown = shown().await;
        steps.go_on();
        shown
    });
    assert_eq!(answer.status, 200);
    let number = |name: &str| held[name].as_i64().expect("a number");
    assert!(number("held_nanos") > COST, "the worst case: {held}");
    assert_eq!(number("remaining_nanos"), QUOTA - number("held_nanos"));
    let after = shown().await;
    assert_eq!((&after["held_nanos"], &after["spent_nanos"]), (&json!(0), &json!(COST)));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn nobody_else_is_told_anything() {
    let (gateway, [key, off, old]) =
        serving_keys(&Setup::new([]), [("k", &[]), ("off", &[]), ("old", &["--expires", "2020-01-01T00:00:00Z"])])
            .await;
    assert!(gateway.run(&["key", "disable", "off"]).status.success());
    for (request, code) in [
        (Request::get(PAGE), "AUTH_MISSING_TOKEN"),
        (Request::get(PAGE).key("sk-tg-0123"), "AUTH_INVALID_TOKEN"),
        (Request::get(PAGE).key(&format!("{}0", key.key)), "AUTH_INVALID_TOKEN"),
        (Request::get(PAGE).key(&old.key), "TOKEN_EXPIRED"),
    ] {
        let answer = gateway.send(&request).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (401, code), "{request:?}");
        assert_eq!(answer.field("x-tollgate-rejected-by"), Some("auth"));
    }
    // The key was disabled beside the running server.
    let disabled = Request::get(PAGE).key(&off.key);
    let mut status = 0;
    while status != 401 {
        status = gateway.send(&disabled).await.status;
    }
    for method in ["POST", "PUT", "DELETE"] {
        let answer = gateway.send(&Request::new(method, PAGE).key(&key.key)).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (404, "NOT_FOUND"), "{method}");
    }
    gateway.finish(&[&key, &off, &old]).await;
}
