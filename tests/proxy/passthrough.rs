//! What an upstream sends reaches the client byte for byte and piece by piece, and what a client sends reaches the
//! upstream likewise; the few exceptions are the contract's own.

use crate::calls::{
    COST, INPUT, OUTPUT, TOKENS, Wire, assert_record, number, one, plain_chat, provider_of_all, recut, send_all,
    serving, stepped,
};
use crate::support::answers::{chat_pieces, chat_token, data};
use crate::support::client::{Client, Ended, Request};
use crate::support::gateway::Setup;
use crate::support::provider::Provider;
use crate::support::script::{Answer, Delimited};
use crate::support::{answers, h2c};
use bytes::Bytes;
use serde_json::json;

#[tokio::test]
async fn every_piece_reaches_the_client_before_the_next_one_is_sent() {
    for wire in Wire::ALL {
        let pieces = wire.pieces(&TOKENS);
        let (answer, steps) = stepped(wire.stream_of(pieces.clone()));
        let (provider, gateway, key) = one(wire, move |_, _| answer.clone()).await;
        let client = tokio::spawn({
            let (address, request) = (gateway.address, wire.request(true).key(&key.key));
            async move { Client::connect(address).await.unwrap().open(&request).await }
        });
        let first = wire.pieces_to_first_token();
        steps.go(first);
        let mut exchange = client.await.expect("the head comes with the first token");
        assert_eq!(exchange.answer.status, 200, "{wire:?}");
        let mut sent = 0;
        for (index, piece) in pieces.iter().enumerate() {
            sent += piece.len();
            if index >= first {
                steps.go(1);
            }
            if index + 1 < first {
                continue;
            }
            // The provider waits: what comes can only be what it has sent.
            while exchange.answer.body().len() < sent {
                assert!(exchange.piece().await.is_some(), "{wire:?}: ended within piece {index}");
            }
            assert_eq!(exchange.answer.body(), pieces[..=index].concat(), "{wire:?}: up to piece {index}");
        }
        steps.go_on();
        let (answer, _) = exchange.rest().await;
        assert_eq!((answer.ended, answer.body()), (Ended::Whole, pieces.concat()), "{wire:?}");
        let record = gateway.wait_record().await;
        assert_record(
            &record,
            json!({"outcome": "ok", "status": 200, "stream": true, "input_tokens": INPUT, "output_tokens": OUTPUT,
                "cost_nanos": COST, "usage_source": "reported", "dialect": wire.dialect(), "attempts": 1,
                "upstream": "u", "model": "m", "upstream_model": "m", "key_name": "tester", "price_missing": false,
                "error_code": null}),
        );
        assert!(record["ttft_ms"].is_u64(), "{record}");
        assert_eq!(provider.received().len(), 1);
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn an_answer_is_the_same_however_the_provider_cuts_and_delimits_it() {
    for wire in Wire::ALL {
        let pieces = wire.pieces(&["Grüße", " 你好", " 🦀", "!", "."]);
        let whole = pieces.concat();
        let mut answers = vec![
            wire.stream_of(pieces.clone()).delimited(Delimited::Close),
            wire.stream_of(pieces.clone()).delimited(Delimited::Length),
            wire.stream_of(vec![whole.clone().into()]),
        ];
        answers.extend([1, 2, 7, 64].map(|bytes| wire.stream_of(recut(&pieces, bytes))));
        let count = answers.len();
        let (_provider, gateway, key) = one(wire, move |before, _| answers[before].clone()).await;
        let requests = vec![wire.request(true).key(&key.key); count];
        for (index, answer) in send_all(&gateway, requests, 1).await.into_iter().enumerate() {
            let got = (answer.status, answer.ended, answer.body());
            assert_eq!(got, (200, Ended::Whole, whole.clone()), "{wire:?}, way {index}");
        }
        for record in gateway.wait_records(count).await {
            assert_record(&record, json!({"outcome": "ok", "input_tokens": INPUT, "output_tokens": OUTPUT}));
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn documents_pass_as_they_are() {
    for wire in [Wire::Chat, Wire::Responses, Wire::Messages, Wire::GeminiEvents] {
        // White space, key order and fields that nobody knows are the provider's own.
        let text = format!("\n{:#}\r\n ", wire.document("Hi \u{1F980} \"usage\": {\"completion_tokens\": 999}"));
        let text = text.replacen('{', "{ \"unknown\":{\"b\":[1.50e0,null],\"a\":\"\\u00e9\"},", 1);
        let body = Bytes::from(text);
        let answers = [
            Answer::new(200, "application/json", body.clone()),
            Answer::new(200, "application/json; charset=utf-8", body.clone()).delimited(Delimited::Chunked),
            Answer { pieces: recut(std::slice::from_ref(&body), 13), ..Answer::new(200, "application/json", "") }
                .delimited(Delimited::Chunked),
            Answer::new(200, "application/json", body.clone()).delimited(Delimited::Close),
        ];
        let count = answers.len();
        let (_provider, gateway, key) = one(wire, move |before, _| answers[before].clone()).await;
        for answer in send_all(&gateway, vec![wire.request(false).key(&key.key); count], 1).await {
            assert_eq!((answer.status, answer.ended), (200, Ended::Whole), "{wire:?}");
            assert_eq!(Bytes::from(answer.body()), body, "{wire:?}");
        }
        for record in gateway.wait_records(count).await {
            assert_record(
                &record,
                json!({"outcome": "ok", "stream": false, "input_tokens": INPUT, "output_tokens": OUTPUT,
                    "cost_nanos": COST, "usage_source": "reported", "ttft_ms": null}),
            );
        }
        gateway.finish(&[&key]).await;
    }
}

/// A chat's answer that has everything a take-out could stumble over.
fn chat_with_comments() -> (Vec<Bytes>, Vec<u8>) {
    let mut pieces = vec![Bytes::from_static(b": PROCESSING\n\n")];
    pieces.extend(chat_pieces(&["choices\\\":[]", " \u{1F980}"], Some((INPUT, OUTPUT))));
    let usage = pieces.len() - 2;
    // An empty list of choices without usage is no usage chunk, and stays.
    let filter = data(&json!({"id": "x", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}));
    pieces.insert(1, filter);
    let usage = usage + 1;
    let expected: Vec<u8> =
        pieces.iter().enumerate().filter(|(index, _)| *index != usage).flat_map(|(_, piece)| piece.to_vec()).collect();
    (pieces, expected)
}

#[tokio::test]
async fn the_usage_chunk_is_asked_for_and_taken_out_wherever_the_stream_is_cut() {
    let (pieces, expected) = chat_with_comments();
    let whole = pieces.concat();
    let length = whole.len();
    let (provider, gateway, key) = one(Wire::Chat, move |before, _| {
        let at = before % length;
        let (head, tail) = whole.split_at(at);
        Answer::stream([head, tail].into_iter().filter(|part| !part.is_empty()).map(Bytes::copy_from_slice))
    })
    .await;
    let answers = send_all(&gateway, vec![plain_chat(true).key(&key.key); length], 3).await;
    for answer in &answers {
        assert_eq!((answer.status, answer.ended), (200, Ended::Whole));
        assert_eq!(answer.text(), String::from_utf8_lossy(&expected));
    }
    assert!(provider.received().iter().all(|request| request.json()["stream_options"]["include_usage"] == true));
    for record in gateway.wait_records(length).await {
        assert_record(
            &record,
            json!({"outcome": "ok", "input_tokens": INPUT, "output_tokens": OUTPUT, "cost_nanos": COST}),
        );
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn the_usage_chunk_is_taken_out_of_other_line_ends_and_single_bytes_too() {
    let (pieces, expected) = chat_with_comments();
    let line_ends: [&str; 2] = ["\n", "\r\n"];
    let ways: Vec<(Vec<u8>, Vec<u8>)> = line_ends
        .iter()
        .map(|end| {
            let with = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\n', end).into_bytes();
            (with(&pieces.concat()), with(&expected))
        })
        .collect();
    let sent = ways.clone();
    let (_provider, gateway, key) = one(Wire::Chat, move |before, _| {
        let size = if before < sent.len() { 1 } else { 33 };
        Answer::stream(sent[before % sent.len()].0.chunks(size).map(Bytes::copy_from_slice))
    })
    .await;
    let answers = send_all(&gateway, vec![plain_chat(true).key(&key.key); 4], 1).await;
    for (answer, (_, expected)) in answers.iter().zip(ways.iter().cycle()) {
        assert_eq!(answer.text(), String::from_utf8_lossy(expected));
    }
    for record in gateway.wait_records(4).await {
        assert_record(&record, json!({"input_tokens": INPUT, "output_tokens": OUTPUT}));
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn the_usage_chunk_stays_when_the_client_asked_and_the_wish_is_spliced_in_wherever_it_fits() {
    let (provider, gateway, key) = one(Wire::Chat, |_, _| Wire::Chat.stream(&["a"])).await;
    let with_usage = Wire::Chat.pieces(&["a"]).concat();
    let without: Vec<u8> = chat_pieces(&["a"], None).concat();
    // What the client sends, what the provider gets, and whether the client sees the usage chunk.
    let ways = [
        (r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#, None, true),
        (
            r#"{ "model":"m","messages":[],"stream":true}"#,
            Some(r#"{"stream_options":{"include_usage":true}, "model":"m","messages":[],"stream":true}"#),
            false,
        ),
        (
            r#"{"model":"m","messages":[],"stream":true,"stream_options":null}"#,
            Some(r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#),
            false,
        ),
        (
            r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_obfuscation":false}}"#,
            Some(
                r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}"#,
            ),
            false,
        ),
        (
            r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":false}}"#,
            Some(r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#),
            false,
        ),
    ];
    for (index, (sent, received, usage_chunk)) in ways.into_iter().enumerate() {
        let answer = gateway.send(&Request::post_raw("/v1/chat/completions", sent).key(&key.key)).await;
        let expected = if usage_chunk { &with_usage } else { &without };
        assert_eq!(answer.text(), String::from_utf8_lossy(expected), "{sent}");
        let got = provider.received().pop().expect("a request").body;
        assert_eq!(String::from_utf8_lossy(&got), received.unwrap_or(sent), "way {index}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_provider_that_reports_unasked_is_not_asked_and_one_that_refuses_the_field_neither() {
    let provider = Provider::start(|_, _| Wire::Chat.stream(&["a"])).await;
    let setup = Setup::new([
        crate::support::gateway::Upstream::new("always", "deepseek", provider.url("")).models(r#"["a"]"#),
        crate::support::gateway::Upstream::new("never", "cohere", provider.url("")).models(r#"["n"]"#),
    ]);
    let (gateway, key) = serving(&setup).await;
    for model in ["a", "n"] {
        let body = json!({"model": model, "messages": [], "stream": true});
        let answer = gateway.send(&Request::post("/v1/chat/completions", &body).key(&key.key)).await;
        // Nothing was asked for, so nothing is taken out.
        assert_eq!(answer.body(), Wire::Chat.pieces(&["a"]).concat());
        assert_eq!(provider.received().pop().expect("a request").json(), body);
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn only_the_models_name_is_changed_in_what_a_client_sends() {
    let provider = provider_of_all().await;
    let models = r#"[{ name = "fast", upstream_model = "vendor/real-\"1\"" }]"#;
    let plain = r#"[{ name = "quick", upstream_model = "real model/2" }]"#;
    let setup = Setup::new([
        Wire::Chat.upstream("o", &provider).models(models),
        Wire::Messages.upstream("a", &provider).models(models),
        Wire::GeminiEvents.upstream("g", &provider).models(plain),
    ])
    .prices("[[model]]\nname = \"vendor/real-\\\"1\\\"\"\ninput = 1\noutput = 2\n[[model]]\nname = \"quick\"\ninput = 1\noutput = 2\n");
    let (gateway, key) = serving(&setup).await;
    let odd = "{\r\n\t\"messages\" : [ ] ,\"model\":\"fast\"  , \"metadata\":{\"model\":\"fast\",\"n\":1.0e+2},\"\\u006dax_tokens\":1,\"x\":[\"fast\"]}\n";
    for target in ["/v1/chat/completions", "/v1/messages"] {
        let answer = gateway.send(&Request::post_raw(target, odd).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let got = provider.received().pop().expect("a request").body;
        let expected = odd.replacen("\"model\":\"fast\"", r#""model":"vendor/real-\"1\"""#, 1);
        assert_eq!(String::from_utf8_lossy(&got), expected);
    }
    let gemini = "{ \"contents\":[], \"model\": \"quick\" , \"unknown\":{}}";
    let answer =
        gateway.send(&Request::post_raw("/v1beta/models/quick:generateContent?x=1", gemini).key(&key.key)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let got = provider.received().pop().expect("a request");
    assert_eq!(got.target, "/v1beta/models/real%20model%2F2:generateContent?x=1");
    let expected = gemini.replace("\"quick\"", "\"models/real model/2\"");
    assert_eq!(String::from_utf8_lossy(&got.body), expected, "Gemini's body may name the model as a resource");
    for record in gateway.wait_records(3).await {
        assert_eq!(number(&record, "cost_nanos"), COST, "{record}");
        assert_ne!(record["model"], record["upstream_model"]);
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn http2_clients_get_the_same_bytes() {
    let (provider, gateway, key) = one(Wire::Chat, |before, _| match before {
        0 => Wire::Chat.stream(&TOKENS),
        _ => Wire::Chat.whole("Hi"),
    })
    .await;
    let streamed = h2c::send(gateway.address, &Wire::Chat.request(true).key(&key.key)).await;
    assert_eq!((streamed.status, streamed.ended), (200, Ended::Whole));
    assert_eq!(streamed.body(), Wire::Chat.pieces(&TOKENS).concat());
    let whole = h2c::send(gateway.address, &Wire::Chat.request(false).key(&key.key)).await;
    assert_eq!(whole.json(), Wire::Chat.document("Hi"));
    assert_eq!(whole.field("x-tollgate-upstream"), Some("u"));
    assert!(provider.received().iter().all(|request| request.field("host") == Some(&provider.address.to_string())));
    assert_eq!(gateway.wait_records(2).await.len(), 2);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn streams_and_refusals_share_a_connection_and_one_that_closes_says_so() {
    let (_provider, gateway, key) = one(Wire::Chat, |_, _| Wire::Chat.stream(&TOKENS)).await;
    let mut client = Client::connect(gateway.address).await.expect("the gateway listens");
    for round in 0..20 {
        let (answer, next) = client.send_and_keep(&Wire::Chat.request(true).key(&key.key)).await;
        assert_eq!((answer.status, answer.ended), (200, Ended::Whole), "round {round}");
        let (refusal, next) = next.send_and_keep(&Wire::Chat.request_for("nope", true).key(&key.key)).await;
        assert_eq!((refusal.status, refusal.field("connection")), (404, Some("keep-alive")), "round {round}");
        let (list, next) = next.send_and_keep(&Request::get("/v1/models").key(&key.key)).await;
        assert_eq!(list.status, 200, "round {round}");
        client = next;
    }
    // A body that is not worth reading.
    let (refusal, next) = client.send_and_keep(&Wire::Chat.request(true).key("junk")).await;
    assert_eq!((refusal.status, refusal.field("connection")), (401, Some("close")));
    assert_eq!(next.send(&Request::get("/v1/models")).await.status, 0, "closed, as it was said");
    assert_eq!(gateway.wait_records(20).await.len(), 20);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn clients_of_http_1_0_get_an_answer_they_can_read() {
    let (_provider, gateway, key) = one(Wire::Chat, |before, _| Wire::Chat.answer(before == 0)).await;
    for stream in [true, false] {
        let body = Wire::Chat.body("m", stream).to_string();
        let mut client = Client::connect(gateway.address).await.expect("the gateway listens");
        let head = format!(
            "POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
            key.key,
            body.len()
        );
        client.write(head.as_bytes()).await.expect("the gateway reads");
        let answer = client.receive().await;
        assert_eq!((answer.status, answer.ended), (200, Ended::Whole));
        assert_eq!(answer.field("transfer-encoding"), None, "HTTP/1.0 has no chunks");
        assert_eq!(answer.body(), Wire::Chat.answer(stream).body());
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn long_streams_and_long_events_pass_whole() {
    // Longer than every buffer on the way, and one event alone longer than what is held for failover.
    let long = "x".repeat(700_000);
    let mut pieces = chat_pieces(&[&long, "y"], Some((INPUT, OUTPUT)));
    pieces.splice(2..2, (0..3_000).map(|_| chat_token("token ")));
    let whole = pieces.concat();
    let (_provider, gateway, key) = one(Wire::Chat, move |_, _| Answer::stream(pieces.clone())).await;
    let answer = gateway.send(&Wire::Chat.request(true).key(&key.key)).await;
    assert_eq!((answer.ended, answer.body().len()), (Ended::Whole, whole.len()));
    assert!(answer.body() == whole);
    let long_document = answers::chat(&long, INPUT, OUTPUT);
    let body = long_document.body();
    let (_provider, other, other_key) = one(Wire::Chat, move |_, _| long_document.clone()).await;
    let answer = other.send(&Wire::Chat.request(false).key(&other_key.key)).await;
    assert!(answer.ended == Ended::Whole && answer.body() == body);
    for (gateway, key) in [(gateway, key), (other, other_key)] {
        assert_record(&gateway.wait_record().await, json!({"outcome": "ok", "output_tokens": OUTPUT}));
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_connection_that_idles_serves_whichever_thread_asks_next() {
    const CLIENTS: usize = 40;
    let provider = Provider::always(Wire::Chat.whole("Hi")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).set("server.threads", "8");
    let (gateway, key) = serving(&setup).await;
    for _ in 0..CLIENTS {
        // Each on a connection of its own, which comes to any of the threads.
        let (answer, _) = gateway.open(&Wire::Chat.request(false).key(&key.key)).await.rest().await;
        assert_eq!((answer.status, answer.ended), (200, Ended::Whole));
    }
    let received = provider.received();
    assert_eq!(received.len(), CLIENTS);
    // One is on its way back when the next request comes, at most.
    let connections = received.iter().map(|request| request.connection).max().map(|last| last + 1);
    assert!(connections <= Some(2), "{connections:?} connections for requests that came one by one");
    gateway.finish(&[&key]).await;
}
