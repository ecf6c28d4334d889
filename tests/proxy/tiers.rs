//! Service tiers that are dearer than the standard one: refused where their price is not known, held for where they can come, billed as
//! answers name them.

use crate::calls::{Wire, assert_record, number, serving_keys};
use crate::support::client::{Answer as Got, Request};
use crate::support::gateway::Setup;
use crate::support::provider::Provider;
use crate::support::script::Answer;
use serde_json::{Value, json};

const BARE: &str = "[[model]]\nname = \"m\"\ninput = 1000\noutput = 2000\nmax_output_tokens = 100\n";
const PRICED: &str =
    "[[model]]\nname = \"m\"\ninput = 1000\noutput = 2000\nmax_output_tokens = 100\npriority = 2\nultrafast = 6\n";
/// What [`Wire::document`] costs in the standard tier.
const COST: i64 = 20_000_000;

fn post(wire: Wire, more: &Value) -> Request {
    let mut body = wire.body("m", false);
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    Request::post(&wire.target("m", false), &body)
}

/// A whole answer that names a tier where its dialect has it, or none.
fn answer(wire: Wire, said: &Value) -> Answer {
    let mut document = wire.document("x");
    let place = match wire {
        Wire::Chat | Wire::Responses => &mut document,
        Wire::Messages => &mut document["usage"],
        Wire::GeminiEvents | Wire::GeminiArray => &mut document["usageMetadata"],
    };
    place.as_object_mut().expect("an object").extend(said.as_object().expect("an object").clone());
    Answer::json(200, &document)
}

fn assert_lacks(refused: &Got, tier: &str) {
    let text = refused.text();
    assert_eq!(refused.status, 400, "{text}");
    for words in ["PRICE_MISSING", &format!("no price for the service tier `{tier}`")] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(refused.field("x-tollgate-rejected-by"), Some("billing"));
}

#[tokio::test]
async fn a_dearer_tier_without_a_price_is_refused_for_keys_with_a_quota_and_flagged_for_others() {
    let cases = [
        (Wire::Chat, json!({"service_tier": "priority"}), json!({"service_tier": "priority"}), "priority"),
        (Wire::Chat, json!({"service_tier": "ultrafast"}), json!({"service_tier": "ultrafast"}), "ultrafast"),
        (Wire::Responses, json!({"service_tier": "fast"}), json!({"service_tier": "fast"}), "priority"),
        (Wire::Messages, json!({"speed": "fast"}), json!({"speed": "fast", "service_tier": "standard"}), "priority"),
        (Wire::GeminiEvents, json!({"serviceTier": "priority"}), json!({"serviceTier": "priority"}), "priority"),
    ];
    for (wire, asked, said, tier) in cases {
        let provider = Provider::always(answer(wire, &said)).await;
        let setup = Setup::new([wire.upstream("u", &provider)]).prices(BARE);
        let (gateway, [limited, free]) = serving_keys(&setup, [("l", &["--quota-usd", "9"]), ("f", &[])]).await;
        let request = || post(wire, &asked);
        assert_lacks(&gateway.send(&request().key(&limited.key)).await, tier);
        assert!(provider.received().is_empty(), "{asked}");
        let passed = gateway.send(&request().key(&free.key)).await;
        assert_eq!(passed.status, 200, "{}", passed.text());
        let record = gateway.record_of(&passed).await;
        assert_record(&record, json!({"cost_nanos": COST, "price_missing": true, "service_tier": tier}));
        gateway.finish(&[&limited, &free]).await;
    }
}

#[tokio::test]
async fn what_names_no_dearer_tier_passes_without_a_price_for_one() {
    // Asked for, said, flagged.
    let cases = [
        (json!({}), json!({}), false),
        (json!({"service_tier": "auto"}), json!({"service_tier": "default"}), false),
        (json!({"service_tier": "default"}), json!({"service_tier": "default"}), false),
        (json!({"service_tier": "flex"}), json!({"service_tier": "flex"}), false),
        // An account's own tier: nobody could have refused it.
        (json!({}), json!({"service_tier": "priority"}), true),
    ];
    for (asked, said, missing) in cases {
        let provider = Provider::always(answer(Wire::Chat, &said)).await;
        let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(BARE);
        let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "9"])]).await;
        let got = gateway.send(&post(Wire::Chat, &asked).key(&key.key)).await;
        assert_eq!(got.status, 200, "{asked}: {}", got.text());
        let record = gateway.record_of(&got).await;
        assert_record(&record, json!({"cost_nanos": COST, "price_missing": missing}));
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn the_hold_has_the_tiers_that_can_come_and_the_bill_the_one_that_came() {
    let (fast, standard) = (json!({"speed": "fast"}), json!({"speed": "standard"}));
    let priority = json!({"service_tier": "priority"});
    let ultrafast = json!({"service_tier": "ultrafast"});
    // Of a row for the standard tier: how many times that the hold is, and the bill.
    let cases = [
        // OpenAI's accounts have a tier of their own.
        (Wire::Chat, json!({}), json!({"service_tier": "default"}), 2, 1),
        (Wire::Chat, json!({}), priority.clone(), 2, 2),
        (Wire::Chat, priority.clone(), json!({"service_tier": "default"}), 2, 1),
        // Who names the standard one gets no other.
        (Wire::Chat, json!({"service_tier": "default"}), json!({"service_tier": "default"}), 1, 1),
        (Wire::Chat, json!({"service_tier": "auto"}), json!({"service_tier": "default"}), 2, 1),
        (Wire::Chat, ultrafast.clone(), ultrafast, 6, 6),
        // Fast mode comes only if it is asked for, and what is paid for in advance has no price of its own.
        (Wire::Messages, json!({}), standard, 1, 1),
        (Wire::Messages, json!({}), priority.clone(), 1, 1),
        (Wire::Messages, fast.clone(), fast, 2, 2),
        (Wire::GeminiEvents, json!({}), json!({}), 1, 1),
        (Wire::GeminiEvents, json!({"serviceTier": "priority"}), json!({"serviceTier": "priority"}), 2, 2),
    ];
    for (wire, asked, said, held, billed) in cases {
        let provider = Provider::always(answer(wire, &said)).await;
        let request = post(wire, &asked);
        let mut holds = Vec::new();
        for prices in [BARE, PRICED] {
            let setup =
                Setup::new([wire.upstream("u", &provider)]).prices(prices).set("pricing.unknown_model", "\"allow\"");
            let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "99"])]).await;
            let got = gateway.send(&request.clone().key(&key.key)).await;
            assert_eq!(got.status, 200, "{asked}: {}", got.text());
            let record = gateway.record_of(&got).await;
            holds.push(number(&record, "held_nanos"));
            if prices == PRICED {
                assert_record(&record, json!({"cost_nanos": COST * billed, "price_missing": false}));
            }
            gateway.finish(&[&key]).await;
        }
        assert_eq!(holds[1], holds[0] * held, "{asked} {said}");
    }
}

#[tokio::test]
async fn a_tier_that_a_translation_leaves_out_needs_no_price() {
    let provider = Provider::always(answer(Wire::Messages, &json!({"service_tier": "standard"}))).await;
    let setup = Setup::new([Wire::Messages.upstream("u", &provider)]).prices(BARE);
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "9"])]).await;
    let got = gateway.send(&post(Wire::Chat, &json!({"service_tier": "priority"})).key(&key.key)).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_record(&gateway.record_of(&got).await, json!({"cost_nanos": COST, "price_missing": false}));
    gateway.finish(&[&key]).await;
}
