//! Whose prices hold at an upstream, and what it makes of them.

use crate::calls::{Wire, number, plain_chat, serving_keys};
use crate::support::answers::chat_body;
use crate::support::client::Request;
use crate::support::gateway::{Gateway, Setup, Upstream};
use crate::support::provider::Provider;
use crate::support::script::Answer;

const PRICES: &str = "[currency]\nCNY = \"0.125\"\n[[model]]\nname = \"m\"\ninput = 30\noutput = 60\nmax_output_tokens = 100\n\
    [[model]]\nname = \"m\"\nprovider = \"reseller\"\ninput = 10\noutput = 20\nmax_output_tokens = 100\n\
    [[model]]\nname = \"m\"\nprovider = \"mainland\"\ncurrency = \"CNY\"\ninput = 8\noutput = 16\nmax_output_tokens = 100\n";

#[tokio::test]
async fn upstream_price_provider_and_price_multiplier_make_the_bill_and_the_hold() {
    let provider = Provider::always(Answer::json(200, &chat_body("x", 101, 200))).await;
    // 101 x 30 + 200 x 60, 101 x 10 + 200 x 20 and 101 x 1 + 200 x 2 USD per million: times the multiplier, rounded up.
    let ways = [
        ("", 15_030_000),
        ("price_multiplier = 0.8513", 12_795_039),
        ("price_multiplier = 0", 0),
        ("price_multiplier = \"1.5\"", 22_545_000),
        ("price_provider = \"reseller\"", 5_010_000),
        ("price_provider = \"Reseller\"\nprice_multiplier = 2", 10_020_000),
        ("price_provider = \"mainland\"\nprice_multiplier = 0.0001", 51),
    ];
    let mut held = Vec::new();
    for (lines, cost_nanos) in ways {
        let setup = Setup::new([Wire::Chat.upstream("u", &provider).with(lines)]).prices(PRICES);
        let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "1"])]).await;
        let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let record = gateway.record_of(&answer).await;
        assert_eq!(number(&record, "cost_nanos"), cost_nanos, "{lines}");
        let explained = gateway.run(&["price", "explain", "m", "--upstream", "u", "--input", "101", "--output", "200"]);
        let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
        assert!(explained.contains(&format!("({cost_nanos} nano-USD)")), "{lines}: {explained}");
        assert_eq!(
            explained.contains("price_multiplier: the sum x "),
            lines.contains("price_multiplier"),
            "{explained}"
        );
        held.push(number(&record, "held_nanos"));
        gateway.finish(&[&key]).await;
    }
    let whole = held[0];
    assert!(whole > 0 && held[1] == (whole * 8513 + 9_999) / 10_000, "{held:?}");
    assert_eq!((held[2], held[3] * 2, held[4] * 3, held[5]), (0, whole * 3, whole, held[4] * 2), "{held:?}");
}

#[tokio::test]
async fn a_model_that_reads_by_itself_is_held_for_its_context_window() {
    let provider = Provider::always(Answer::json(200, &chat_body("x", 9_000, 10))).await;
    let row = |more: &str| {
        format!(
            "[[model]]\nname = \"m\"\ninput = 30\noutput = 60\ncontext_tokens = 10000\nmax_output_tokens = 100\nper_request = 0.01\n{more}"
        )
    };
    let mut held = Vec::new();
    for more in ["", "reads_elsewhere = false\n", "reads_elsewhere = true\n"] {
        let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(&row(more));
        let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "1"])]).await;
        let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
        let record = gateway.record_of(&answer).await;
        assert_eq!(number(&record, "cost_nanos"), 270_600_000 + 10_000_000);
        held.push((number(&record, "held_nanos"), record["overshoot"] == true));
        gateway.finish(&[&key]).await;
    }
    // 10,000 x 30 and 100 x 60 USD per million, and the request.
    assert_eq!((held[0], held[1].1, held[2]), (held[1], true, (316_000_000, false)), "{held:?}");
}

#[tokio::test]
async fn the_hold_is_taken_at_the_dearest_upstream_and_the_bill_at_the_one_that_answered() {
    let provider = Provider::always(Answer::json(200, &chat_body("x", 100, 200))).await;
    let setup = Setup::new([
        Wire::Chat.upstream("cheap", &provider).with("price_multiplier = 0.5"),
        Wire::Chat.upstream("dear", &provider).with("priority = 1\nprice_multiplier = 2"),
        Wire::Chat.upstream("plain", &provider).with("priority = 2"),
    ])
    .prices(PRICES);
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "1"])]).await;
    let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
    let record = gateway.record_of(&answer).await;
    assert_eq!((record["upstream"].as_str(), number(&record, "cost_nanos")), (Some("cheap"), 7_500_000));
    let held = number(&record, "held_nanos");
    // The output alone, 100 tokens at 2 x 60 USD per million, is more than all of it would be at the others.
    assert!(held > 12_000_000, "{held}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_price_provider_without_rows_is_refused_with_its_place() {
    let provider = Provider::always(Answer::json(200, &chat_body("x", 1, 1))).await;
    let upstream = Wire::Chat.upstream("u", &provider).with("price_provider = \"resellr\"");
    let gateway = Gateway::prepare(&Setup::new([upstream]).prices(PRICES));
    for command in ["check", "serve"] {
        let output = gateway.run(&[command]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let words =
            ["tollgate.toml:", "upstream[0].price_provider: no row of the price book", "did you mean `reseller`?"];
        assert!(!output.status.success() && words.iter().all(|word| said.contains(word)), "{command}: {said}");
    }
}

/// The same vendor's other API has no rows of its own.
#[tokio::test]
async fn a_model_without_a_row_for_one_api_of_a_vendor_has_the_price_of_the_other() {
    let row = |provider: &str, input: u32| {
        format!("[[model]]\nname = \"qwen-plus\"\nprovider = \"{provider}\"\ninput = {input}\noutput = 1\n")
    };
    let provider = Provider::always(Answer::json(200, &chat_body("x", 1, 1))).await;
    let upstream = Upstream::new("u", "dashscope", provider.url(""));
    for (prices, input) in [(row("qwen", 3), "3"), (row("qwen", 3) + &row("dashscope", 5), "5")] {
        let gateway = Gateway::prepare(&Setup::new([upstream.clone().models("[\"qwen-plus\"]")]).prices(&prices));
        let explained =
            gateway.run(&["price", "explain", "qwen-plus", "--upstream", "u", "--input", "1000000", "--output", "0"]);
        let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
        assert!(explained.contains(&format!("({input}000000000 nano-USD)")), "{explained}");
    }
}

/// OpenAI's Responses take no limit below 16: it goes out as that.
#[tokio::test]
async fn a_limit_that_a_translation_raises_is_held_for_as_it_goes_out() {
    let provider = Provider::always(Wire::Responses.whole("x")).await;
    let upstream = Upstream::new("u", "openai-responses", provider.url("/v1"));
    let setup = Setup::new([upstream.models("[\"m\"]")]).prices(PRICES);
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "9"])]).await;
    let mut held = Vec::new();
    for limit in [10, 16, 17] {
        let body =
            serde_json::json!({"model": "m", "max_tokens": limit, "messages": [{"role": "user", "content": "x"}]});
        let answer = gateway.send(&Request::post("/v1/chat/completions", &body).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        held.push(number(&gateway.record_of(&answer).await, "held_nanos"));
    }
    assert_eq!((held[0], held[2] - held[1]), (held[1], 60_000));
    gateway.finish(&[&key]).await;
}
