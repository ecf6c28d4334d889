//! What is billed: exact amounts, holds that cannot be overdrawn, counts that are believed or not, and a bill for what
//! nobody counted.

use crate::calls::{COST, INPUT, OUTPUT, Wire, assert_record, number, one, plain_chat, serving, serving_keys, stepped};
use crate::support::answers::{chat_body, chat_pieces, data, message_body};
use crate::support::client::Request;
use crate::support::gateway::{Gateway, Key, Setup, Upstream};
use crate::support::h2c;
use crate::support::provider::Provider;
use crate::support::script::{Answer, Break};
use crate::support::until;
use crate::translate::upstream;
use serde_json::{Value, json};

/// Nano-USD as the command line takes them.
fn usd(nanos: i64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// A chat with these counts, as they stand in JSON.
fn chat_with_usage(usage: &str) -> Answer {
    let mut body = chat_body("Hello there, friend.", 0, 0);
    body["usage"] = json!("HERE");
    Answer::new(200, "application/json", body.to_string().replace("\"HERE\"", usage))
}

fn chat_of(prompt: &str, max_tokens: u64) -> Request {
    let body = json!({"model": "m", "max_tokens": max_tokens, "messages": [{"role": "user", "content": prompt}]});
    Request::post("/v1/chat/completions", &body)
}

/// One record of one request.
async fn billed(gateway: &Gateway, request: &Request) -> Value {
    let answer = gateway.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    gateway.record_of(&answer).await
}

#[tokio::test]
async fn a_hundred_and_two_hundred_tokens_at_30_and_60_dollars_a_million_are_15_000_000() {
    let provider = Provider::start(|before, _| match before {
        0 => Answer::json(200, &chat_body("x", 100, 200)),
        _ => Answer::stream(chat_pieces(&["x"], Some((100, 200)))),
    })
    .await;
    let prices = "[[model]]\nname = \"m\"\ninput = 30\noutput = 60\n";
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(prices);
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "1"])]).await;
    for stream in [false, true] {
        let record = billed(&gateway, &plain_chat(stream).key(&key.key)).await;
        assert_record(
            &record,
            json!({"cost_nanos": 15_000_000, "input_tokens": 100, "output_tokens": 200, "price_missing": false}),
        );
    }
    assert_eq!(gateway.key_row("k")["spent_nanos"], 30_000_000);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn every_class_and_the_price_of_a_request_are_billed() {
    let usage = r#"{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500,
        "prompt_tokens_details":{"cached_tokens":600,"audio_tokens":50},"completion_tokens_details":{"reasoning_tokens":400}}"#;
    let provider = Provider::always(chat_with_usage(usage)).await;
    let prices = "[[model]]\nname = \"m\"\ninput = 10\ncached_input = 1\ninput_audio = 100\noutput = 20\nreasoning = 30\n\
        per_request = 0.005\n";
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)]).prices(prices)).await;
    let record = billed(&gateway, &plain_chat(false).key(&key.key)).await;
    // 350 × 10 + 600 × 1 + 50 × 100 + 100 × 20 + 400 × 30 USD per million, and half a cent.
    let expected = 3_500_000 + 600_000 + 5_000_000 + 2_000_000 + 12_000_000 + 5_000_000;
    assert_record(
        &record,
        json!({"cost_nanos": expected, "cached_input_tokens": 600, "reasoning_tokens": 400, "input_tokens": 1000}),
    );
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_fraction_of_a_nano_is_rounded_up_once_a_request() {
    let provider = Provider::always(Answer::json(200, &chat_body("x", 3, 3))).await;
    let prices = "[[model]]\nname = \"m\"\ninput = 0.0001\noutput = 0.0001\n";
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)]).prices(prices)).await;
    // Six tokens at a tenth of a nano each are 0.6.
    assert_eq!(number(&billed(&gateway, &plain_chat(false).key(&key.key)).await, "cost_nanos"), 1);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_longer_prompt_reprices_the_whole_request() {
    let provider = Provider::start(|before, _| Answer::json(200, &chat_body("x", [100, 101][before % 2], 10))).await;
    let prices = "[[model]]\nname = \"m\"\ninput = 1\noutput = 2\ntiers = [{ above_prompt_tokens = 100, input = 3, output = 5 }]\n";
    let (gateway, key) = serving(&Setup::new([Wire::Chat.upstream("u", &provider)]).prices(prices)).await;
    let request = plain_chat(false).key(&key.key);
    assert_eq!(number(&billed(&gateway, &request).await, "cost_nanos"), 100_000 + 20_000);
    assert_eq!(number(&billed(&gateway, &request).await, "cost_nanos"), 303_000 + 50_000);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_a_provider_bills_beside_its_counts_is_billed_at_its_own_price() {
    let mut body = message_body("x", 1_000, 100);
    body["usage"]["cache_read_input_tokens"] = json!(200);
    body["usage"]["cache_creation_input_tokens"] = json!(300);
    body["usage"]["server_tool_use"] = json!({"web_search_requests": 2});
    body["usage"]["iterations"] = json!([
        {"type": "compaction", "input_tokens": 5_000, "output_tokens": 50},
        {"type": "advisor_message", "model": "advisor", "input_tokens": 400, "output_tokens": 40},
        {"type": "message", "input_tokens": 1_000, "output_tokens": 100},
    ]);
    let provider = Provider::always(Answer::json(200, &body)).await;
    let prices = "[[model]]\nname = \"m\"\ninput = 3\ncached_input = 0.3\ncache_write = 4\noutput = 15\nweb_search_per_thousand = 10\n\
        [[model]]\nname = \"advisor\"\ninput = 5\noutput = 25\n";
    let (gateway, key) = serving(&Setup::new([Wire::Messages.upstream("u", &provider)]).prices(prices)).await;
    let record = billed(&gateway, &Wire::Messages.request(false).key(&key.key)).await;
    assert_record(
        &record,
        json!({"input_tokens": 1_500, "cached_input_tokens": 200, "cache_write_tokens": 300, "output_tokens": 100}),
    );
    assert_eq!(record["extras"].as_array().map(Vec::len), Some(2), "{record}");
    let top = 1_000 * 3_000 + 200 * 300 + 300 * 4_000 + 100 * 15_000;
    let searches = 2 * 10_000_000;
    let compaction = 5_000 * 3_000 + 50 * 15_000;
    let advisor = 400 * 5_000 + 40 * 25_000;
    assert_eq!(number(&record, "cost_nanos"), top + searches + compaction + advisor, "{record}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn where_a_model_had_to_run_is_priced_recorded_and_explained() {
    let mut body = message_body("x", 1_000, 100);
    body["usage"]["inference_geo"] = json!("us");
    body["usage"]["iterations"] = json!([
        {"type": "compaction", "input_tokens": 5_000, "output_tokens": 50, "cache_creation_input_tokens": 300,
         "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}},
    ]);
    let provider = Provider::always(Answer::json(200, &body)).await;
    let prices = "[[model]]\nname = \"m\"\ninput = 3\ncache_write = 4\ncache_write_1h = 6\noutput = 15\ninference_geo = { us = 1.1 }\n";
    let setup = Setup::new([Wire::Messages.upstream("u", &provider)]).prices(prices);
    let (gateway, key) = serving(&setup).await;
    let record = billed(&gateway, &Wire::Messages.request(false).key(&key.key)).await;
    let top = 1_000 * 3_300 + 100 * 16_500;
    let compaction = 5_000 * 3_300 + 100 * 4_400 + 200 * 6_600 + 50 * 16_500;
    assert_record(&record, json!({"inference_geo": "us", "cost_nanos": top + compaction, "outcome": "ok"}));
    assert_eq!(record["extras"][0]["cache_write_1h_tokens"], 200, "{record}");
    let id = record["request_id"].as_str().expect("an id");
    let explained = gateway.run(&["explain", id]);
    let explained = String::from_utf8_lossy(&explained.stdout);
    for words in
        ["multiplied for inference in us", "1000 tokens x 3.3 USD/M (3 x 1.1)", "200 tokens x 6.6 USD/M (6 x 1.1)"]
    {
        assert!(explained.contains(words), "{words}: {explained}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn counts_that_cannot_be_are_not_believed_and_an_estimate_takes_their_place() {
    let absurd = ["-1", "1.5", "1e308", "9223372036854775808", "18446744073709551616", "1000000001", "\"12\"", "true"];
    let answers: Vec<Answer> = absurd
        .iter()
        .map(|count| chat_with_usage(&format!(r#"{{"prompt_tokens":5,"completion_tokens":{count},"total_tokens":9}}"#)))
        .collect();
    let (_provider, gateway, key) = one(Wire::Chat, move |before, _| answers[before].clone()).await;
    for count in absurd {
        let record = billed(&gateway, &plain_chat(false).key(&key.key)).await;
        assert_record(&record, json!({"disbelieved": true, "usage_source": "estimated", "outcome": "ok"}));
        let (input, output) = (number(&record, "input_tokens"), number(&record, "output_tokens"));
        assert!((1..=20).contains(&input) && (1..=20).contains(&output), "{count}: {record}");
        assert_eq!(number(&record, "cost_nanos"), input * 1_000 + output * 2_000, "{count}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn well_formed_counts_are_believed_to_the_last_one() {
    let (_provider, gateway, key) = one(Wire::Chat, |before, _| match before {
        0 => chat_with_usage(r#"{"prompt_tokens":500000000,"completion_tokens":500000000,"total_tokens":1000000000}"#),
        // An explicit zero is a count, not a missing one.
        1 => chat_with_usage(r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#),
        _ => Answer::stream(chat_pieces(&["some", "text"], Some((0, 0)))),
    })
    .await;
    let record = billed(&gateway, &plain_chat(false).key(&key.key)).await;
    assert_record(
        &record,
        json!({"cost_nanos": 1_500_000_000_000_i64, "usage_source": "reported", "disbelieved": false}),
    );
    for stream in [false, true] {
        let record = billed(&gateway, &plain_chat(stream).key(&key.key)).await;
        assert_record(
            &record,
            json!({"cost_nanos": 0, "input_tokens": 0, "output_tokens": 0, "usage_source": "reported"}),
        );
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_nobody_counted_is_estimated_by_prompt_and_text() {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(20);
    let streamed = text.clone();
    let (_provider, gateway, key) = one(Wire::Chat, move |before, _| {
        let mut body = chat_body(&streamed, 0, 0);
        match before {
            0 => body["usage"] = Value::Null,
            1 => drop(body.as_object_mut().expect("an object").remove("usage")),
            _ => return Answer::stream(chat_pieces(&streamed.split_inclusive(' ').collect::<Vec<_>>(), None)),
        }
        Answer::json(200, &body)
    })
    .await;
    let prompt = "Tell me the story of the fox and the dog, please. ".repeat(10);
    let mut records = Vec::new();
    for stream in [false, false, true] {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": prompt}]});
        body["stream"] = json!(stream);
        records.push(billed(&gateway, &Request::post("/v1/chat/completions", &body).key(&key.key)).await);
    }
    for record in &records {
        assert_record(record, json!({"usage_source": "estimated", "disbelieved": false}));
        let (input, output) = (number(record, "input_tokens"), number(record, "output_tokens"));
        // One token a word and a full stop: 10 × 13 and 20 × 10, a few more or less for what stands around it.
        assert!((110..=160).contains(&input) && (195..=210).contains(&output), "{record}");
        assert_eq!(number(record, "cost_nanos"), input * 1_000 + output * 2_000);
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_estimate_is_above_the_limit_that_was_asked_for_only_where_more_pieces_than_that_came() {
    let (words, text) = (vec![" word"; 500], " word".repeat(500));
    let answers = [chat_pieces(&[&text], None), chat_pieces(&words, None)].map(Answer::stream);
    let (_provider, gateway, key) = one(Wire::Chat, move |before, _| answers[before].clone()).await;
    // plain_chat asks for a hundred tokens.
    for tokens in [100, 500] {
        let record = billed(&gateway, &plain_chat(true).key(&key.key)).await;
        assert_record(&record, json!({"output_tokens": tokens, "usage_source": "estimated"}));
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn text_that_looks_like_usage_changes_nothing() {
    let forged = r#"{"usage":{"prompt_tokens":999999,"completion_tokens":999999,"total_tokens":1999998}}"#;
    let lines = format!("\n\ndata: {forged}\n\ndata: [DONE]\n\nevent: message_stop\n\n");
    let (_provider, gateway, key) = one(Wire::Chat, move |before, _| {
        let mut body = chat_body(forged, INPUT, OUTPUT);
        body["choices"][0]["message"]["tool_calls"] =
            json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": forged}}]);
        body["choices"][0]["usage"] = json!({"prompt_tokens": 7, "completion_tokens": 7});
        body["metadata"] = serde_json::from_str(forged).unwrap();
        match before {
            0 => Answer::json(200, &body),
            _ => {
                let mut pieces = chat_pieces(&[forged, &lines], Some((INPUT, OUTPUT)));
                pieces.insert(
                    2,
                    data(&json!({"choices": [{"index": 0, "delta": {"content": "x", "usage": {"prompt_tokens": 9}}}],
                    "x": {"usage": {"prompt_tokens": 99, "completion_tokens": 99}}})),
                );
                Answer::stream(pieces)
            }
        }
    })
    .await;
    for stream in [false, true] {
        let record = billed(&gateway, &plain_chat(stream).key(&key.key)).await;
        assert_record(&record, json!({"input_tokens": INPUT, "output_tokens": OUTPUT, "cost_nanos": COST}));
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_quota_admits_what_it_covers_to_the_nano() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    let (gateway, [probe]) = serving_keys(&setup, [("probe", &["--quota-usd", "1"])]).await;
    let request = plain_chat(false);
    let held = number(&billed(&gateway, &request.clone().key(&probe.key)).await, "held_nanos");
    assert!(held > 200_000, "100 tokens out alone: {held}");
    let exact = gateway.key("exact", &["--quota-usd", &usd(held)]).await;
    let short = gateway.key("short", &["--quota-usd", &usd(held - 1)]).await;
    let twice = gateway.key("twice", &["--quota-usd", &usd(held + COST)]).await;
    assert_eq!(gateway.send(&request.clone().key(&short.key)).await.status, 402);
    assert_eq!(gateway.send(&request.clone().key(&exact.key)).await.status, 200);
    // Twenty thousand of it are spent: the worst case does not fit any more.
    assert_eq!(gateway.send(&request.clone().key(&exact.key)).await.status, 402);
    for status in [200, 200, 402] {
        assert_eq!(gateway.send(&request.clone().key(&twice.key)).await.status, status);
    }
    // A smaller request still fits.
    assert_eq!(gateway.send(&chat_of("hi", 1).key(&exact.key)).await.status, 200);
    gateway.wait_records(5).await;
    until("balances in the store", || (gateway.key_row("twice")["spent_nanos"] == 2 * COST).then_some(())).await;
    assert_eq!(gateway.key_row("short")["spent_nanos"], 0);
    gateway.finish(&[&probe, &exact, &short, &twice]).await;
}

#[tokio::test]
async fn the_hold_grows_with_prompt_answers_and_limits() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let prices = "[[model]]\nname = \"m\"\ncontext_tokens = 50000\nmax_output_tokens = 1000\ninput = 1\noutput = 2\n\
        [[model]]\nname = \"open\"\ninput = 1\noutput = 2\n";
    let upstream = Wire::Chat.upstream("u", &provider).models(r#"["m", "open"]"#);
    let setup = Setup::new([upstream]).prices(prices).set("routing.output_tokens_default", "700");
    let (gateway, [key, free]) = serving_keys(&setup, [("k", &["--quota-usd", "5"]), ("free", &[])]).await;
    let held = async |body: Value, key: &Key| {
        number(&billed(&gateway, &Request::post("/v1/chat/completions", &body).key(&key.key)).await, "held_nanos")
    };
    let chat = |more: Value| {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let one = held(chat(json!({"max_tokens": 10})), &key).await;
    assert_eq!(
        held(chat(json!({"max_tokens": 10, "n": 3})), &key).await - one,
        2 * 10 * 2_000 + ",\"n\":3".len() as i64 * 1_000
    );
    // The model's own limit, then the configured one, where the request says none.
    let by_model = held(chat(json!({})), &key).await;
    let by_default = held(json!({"model": "open", "messages": [{"role": "user", "content": "hi"}]}), &key).await;
    assert_eq!(by_model - by_default, 300 * 2_000 - 3 * 1_000, "`open` has three bytes more");
    // Content that stands elsewhere may fill the context window.
    let image = json!([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]);
    let elsewhere =
        held(json!({"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": image}]}), &key).await;
    assert_eq!(elsewhere, 50_000 * 1_000 + 10 * 2_000);
    assert_eq!(held(chat(json!({})), &free).await, 0, "nothing is held for a key without a quota");
    gateway.finish(&[&key, &free]).await;
}

/// An image is held for as what it is to each candidate, in the dialect that this one speaks: the client's says nothing of it.
#[tokio::test]
async fn an_image_is_held_as_the_dearest_candidate_bills_it() {
    let openai = Provider::always(Wire::Chat.whole("x")).await;
    let anthropic = Provider::always(Wire::Messages.whole("x")).await;
    let prices = "[[model]]\nname = \"gpt\"\ncontext_tokens = 50000\ninput = 1\noutput = 2\n\
        [[model]]\nname = \"claude\"\ninput = 3\noutput = 2\n";
    let upstreams = [
        upstream(Wire::Chat, "gpt", &openai).models(r#"["gpt", { name = "both", upstream_model = "gpt" }]"#),
        Wire::Messages
            .upstream("claude", &anthropic)
            .models(r#"["claude", { name = "both", upstream_model = "claude" }]"#),
    ];
    let (gateway, [key]) = serving_keys(&Setup::new(upstreams).prices(prices), [("k", &["--quota-usd", "5"])]).await;
    let part = |wire| match wire {
        Wire::Messages => {
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}})
        }
        _ => json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}),
    };
    let held = async |wire: Wire, model: &str, images: usize| {
        let content = vec![part(wire); images];
        let body = json!({"model": model, "max_tokens": 10, "messages": [{"role": "user", "content": content}]});
        let path = if wire == Wire::Messages { "/v1/messages" } else { "/v1/chat/completions" };
        number(&billed(&gateway, &Request::post(path, &body).key(&key.key)).await, "held_nanos")
    };
    for (wire, model, nanos) in [
        (Wire::Messages, "gpt", 50_000 * 1_000),
        (Wire::Chat, "gpt", 50_000 * 1_000),
        (Wire::Messages, "claude", 5_000 * 3_000),
        (Wire::Chat, "claude", 5_000 * 3_000),
        // Fewer tokens at a higher price, or more at a lower one.
        (Wire::Messages, "both", 50_000 * 1_000),
    ] {
        let image = held(wire, model, 2).await - held(wire, model, 1).await;
        assert!((nanos..nanos + 150 * 3_000).contains(&image), "{wire:?} {model}: {image}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_thousand_at_once_on_a_key_with_room_for_n_admit_exactly_n() {
    for room in [7_usize, 100] {
        // The answer costs exactly what was held, so that the room is used up to the last nano-USD.
        let (answer, steps) = stepped(Answer::json(200, &chat_body("x", 3, 100)));
        let provider = Provider::start(move |_, _| answer.clone()).await;
        let prices = "[[model]]\nname = \"m\"\ninput = 0\noutput = 2\n";
        let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(prices);
        let quota = usd(room as i64 * 200_000 + 199_999);
        let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", &quota])]).await;
        let mut asking = Vec::new();
        for _ in 0..10 {
            let connection = h2c::Connection::new(gateway.address).await;
            for _ in 0..100 {
                let (connection, request) = (connection.clone(), plain_chat(false).key(&key.key));
                asking.push(tokio::spawn(async move { connection.open(&request).await.rest().await.status }));
            }
        }
        // Those that were admitted wait at the provider, all at once, until the others have their answer.
        until("the refusals", || (asking.iter().filter(|one| one.is_finished()).count() == 1_000 - room).then_some(()))
            .await;
        assert_eq!(provider.received().len(), room);
        let row = gateway.key_row("k");
        assert_eq!((&row["held_nanos"], &row["spent_nanos"]), (&json!(room * 200_000), &json!(0)), "{row}");
        steps.go_on();
        let mut statuses = std::collections::BTreeMap::new();
        for one in asking {
            *statuses.entry(one.await.expect("no panic")).or_insert(0) += 1;
        }
        assert_eq!(statuses, [(200, room), (402, 1_000 - room)].into());
        let records = gateway.wait_records(room).await;
        let spent: i64 = records.iter().map(|record| number(record, "cost_nanos")).sum();
        assert_eq!(spent, room as i64 * 200_000);
        assert!(records.iter().all(|record| record["overshoot"] == false && record["held_nanos"] == 200_000));
        until("the balance in the store", || (gateway.key_row("k")["spent_nanos"] == spent).then_some(())).await;
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 402, "199,999 left are not enough");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_quota_used_up_to_the_last_nano_refuses_what_costs_nothing_too() {
    let provider = Provider::always(Answer::json(200, &chat_body("x", 3, 100))).await;
    let prices = "[[model]]\nname = \"m\"\ninput = 0\noutput = 2\n[[model]]\nname = \"free\"\ninput = 0\noutput = 0\n";
    let setup = Setup::new([Wire::Chat.upstream("u", &provider).models(r#"["m", "free"]"#)]).prices(prices);
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "0.0002"])]).await;
    for (model, status) in [("free", 200), ("m", 200), ("free", 402), ("m", 402)] {
        let answer = gateway.send(&Wire::Chat.request_for(model, false).key(&key.key)).await;
        assert_eq!(answer.status, status, "{model}: {}", answer.text());
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_answer_above_its_hold_is_billed_in_full_flagged_and_blocks_the_key() {
    // The provider ignores the limit of 100 tokens.
    let provider = Provider::always(Answer::json(200, &chat_body("x", 10, 5_000))).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "0.001"])]).await;
    let record = billed(&gateway, &plain_chat(false).key(&key.key)).await;
    assert_record(&record, json!({"cost_nanos": 10_010_000, "overshoot": true, "output_tokens": 5_000}));
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 402);
    assert_eq!(gateway.send(&chat_of("h", 0).key(&key.key)).await.status, 402, "blocked even for next to nothing");
    assert_eq!(gateway.metric("tollgate_overshoot_total", &["u"]).await, 1.0);
    until("the balance", || (gateway.key_row("k")["spent_nanos"] == 10_010_000).then_some(())).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn refused_and_failed_requests_cost_nothing_and_hold_nothing() {
    let provider = Provider::start(|_, request| match request.target.as_bytes().get(1) {
        Some(b'4') => Answer::json(400, &json!({"error": {"message": "bad", "code": "invalid_request_error"}})),
        Some(b'5') => Answer::new(500, "text/plain", "no"),
        _ => Answer::nothing(Break::Rst),
    })
    .await;
    let models = ["400", "500", "0"];
    let upstream = |name: &str| {
        let model = format!("[{{ name = \"{name}\", upstream_model = \"m\" }}]");
        Upstream::new(name, "openai", provider.url(&format!("/{name}/v1"))).models(&model)
    };
    let setup = Setup::new(models.map(upstream)).set("breaker.failures_to_open", "200");
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "0.0004"])]).await;
    // Room for one at a time: a hold that stayed behind would block the next.
    for round in 0..30 {
        let request = Wire::Chat.request_for(models[round % 3], round % 2 == 0).key(&key.key);
        assert_eq!(gateway.send(&request).await.status, [400, 500, 503][round % 3]);
    }
    for record in gateway.wait_records(30).await {
        assert_record(&record, json!({"cost_nanos": 0, "usage_source": "none", "overshoot": false}));
    }
    assert_eq!(gateway.key_row("k")["spent_nanos"], 0);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn sums_by_key_model_and_upstream_are_those_of_the_records() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([
        Wire::Chat.upstream("one", &provider),
        Wire::Chat.upstream("two", &provider).models(r#"["other"]"#),
    ])
    .prices("[[model]]\nname = \"m\"\ninput = 1\noutput = 2\n[[model]]\nname = \"other\"\ninput = 2\noutput = 4\n");
    let (gateway, [a, b]) = serving_keys(&setup, [("a", &[]), ("b", &["--quota-usd", "1"])]).await;
    for (key, model, times) in [(&a, "m", 3), (&a, "other", 2), (&b, "m", 1)] {
        for _ in 0..times {
            assert_eq!(gateway.send(&Wire::Chat.request_for(model, false).key(&key.key)).await.status, 200);
        }
    }
    gateway.wait_records(6).await;
    let sums = |by: &str| -> std::collections::BTreeMap<String, i64> {
        let rows = gateway.run_json(&["usage", "--by", by, "--json"]);
        rows.iter().map(|row| (row["name"].as_str().unwrap_or("-").to_owned(), number(row, "cost_nanos"))).collect()
    };
    assert_eq!(sums("model"), [("m".to_owned(), 4 * COST), ("other".to_owned(), 4 * COST)].into());
    assert_eq!(sums("upstream"), [("one".to_owned(), 4 * COST), ("two".to_owned(), 4 * COST)].into());
    assert_eq!(sums("key"), [("a".to_owned(), 7 * COST), ("b".to_owned(), COST)].into());
    assert_eq!(sums("day").values().sum::<i64>(), 8 * COST);
    let tokens = gateway.metric("tollgate_tokens_total", &["gen_ai_token_type=\"output\""]).await;
    assert_eq!(tokens as u64, 6 * OUTPUT);
    assert_eq!(gateway.metric("tollgate_cost_nanos_total", &[]).await as i64, 8 * COST);
    gateway.finish(&[&a, &b]).await;
}
