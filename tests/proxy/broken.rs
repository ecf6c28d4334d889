//! Streams whose upstream dies after the first token: the client gets what came, an error event in its own dialect and a
//! clean end; the ledger knows that the upstream failed, and what was delivered is not free.

use crate::aborts::wait_drains;
use crate::calls::{INPUT, Wire, assert_record, number, one, plain_chat, send_each, serving, stepped};
use crate::support::answers::{chat_pieces, data, event};
use crate::support::client::{Answer as Got, Client, Ended, Request};
use crate::support::gateway::Setup;
use crate::support::h2c;
use crate::support::provider::{self, Provider};
use crate::support::script::{Answer, Break, Delimited, Steps};
use crate::translate::error_of;
use bytes::Bytes;
use serde_json::{Value, json};

const WORDS: [&str; 6] = ["One", " two", " three", " four", " five", " six"];

/// The pieces up to the fourth token, and how many bytes they are.
fn begun(wire: Wire) -> (Vec<Bytes>, usize) {
    let mut pieces = wire.pieces(&WORDS);
    pieces.truncate(wire.pieces_to_first_token() + 3);
    let length = pieces.iter().map(Bytes::len).sum();
    (pieces, length)
}

/// Checks what a client got of a stream that broke off after `sent`.
fn assert_broken_off(wire: Wire, answer: &Got, sent: &[u8]) {
    let text = answer.text();
    assert_eq!((answer.status, answer.ended), (200, Ended::Whole), "{wire:?}: {text}");
    assert!(answer.body().starts_with(sent), "{wire:?}: what had come is there, unchanged: {text}");
    let error = wire.error_at_end(&text);
    assert!(!error.to_string().contains("provider-secret"), "{error}");
    if let Some(terminal) = wire.terminal() {
        assert!(!text.contains(terminal), "{wire:?}: it must not look whole: {text}");
    }
}

fn assert_billed_as_broken(record: &Value) {
    assert_billed_as_cut(record, "UPSTREAM_BROKE_OFF");
}

fn assert_billed_as_cut(record: &Value, code: &str) {
    assert_record(
        record,
        json!({"outcome": "upstream_error", "status": 200, "attempts": 1, "upstream": "u", "error_code": code}),
    );
    assert!(number(record, "cost_nanos") > 0 && number(record, "output_tokens") > 0, "delivered is not free: {record}");
}

#[tokio::test]
async fn a_stream_that_dies_ends_with_an_error_event_in_the_callers_dialect() {
    let ways: [fn(Answer, usize) -> Answer; 5] = [
        |answer, length| answer.cut(length, Break::Fin),
        |answer, length| answer.cut(length, Break::Rst),
        |answer, length| answer.delimited(Delimited::Close).cut(length, Break::Fin),
        |answer, length| answer.delimited(Delimited::Length).cut(length, Break::Fin),
        // It ends as HTTP has it, only without its dialect's end.
        |answer, _| answer,
    ];
    for wire in Wire::ALL {
        let (pieces, length) = begun(wire);
        let sent = pieces.concat();
        let steps = Steps::new();
        let answers = ways.map(|way| {
            // More than is sent, so that a length is a promise that is not kept.
            let whole = [pieces.clone(), vec![Bytes::from_static(b"never sent")]].concat();
            let answer = way(wire.stream_of(whole), length);
            let answer = if answer.cut.is_none() { wire.stream_of(pieces.clone()) } else { answer };
            answer.stepped(&steps)
        });
        let provider = Provider::start(move |before, _| answers[before].clone()).await;
        let next = Provider::always(wire.stream(&["a"])).await;
        let setup = Setup::new([wire.upstream("u", &provider), wire.upstream("next", &next).with("priority = 1")])
            .set("breaker.failures_to_open", "200");
        let (gateway, key) = serving(&setup).await;
        for way in 0..ways.len() {
            steps.go(pieces.len());
            let mut exchange = gateway.open(&wire.request(true).key(&key.key)).await;
            // All of it is here: what comes now comes too late for anybody else.
            exchange.until_bytes(length).await;
            steps.go(1);
            let (answer, _) = exchange.rest().await;
            assert_eq!(answer.field("x-tollgate-attempts"), Some("1"), "{wire:?}, way {way}");
            assert_broken_off(wire, &answer, &sent);
        }
        assert!(next.received().is_empty(), "never after a byte went out");
        for record in gateway.wait_records(ways.len()).await {
            assert_billed_as_broken(&record);
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_stream_that_came_in_one_piece_and_lacks_its_end_is_one_that_died() {
    for wire in Wire::ALL {
        let sent = Bytes::from(begun(wire).0.concat());
        let provider = Provider::always(wire.stream_of(vec![sent.clone()]).delimited(Delimited::Length)).await;
        let next = Provider::always(wire.stream(&["a"])).await;
        let setup = Setup::new([wire.upstream("u", &provider), wire.upstream("next", &next).with("priority = 1")]);
        let (gateway, key) = serving(&setup).await;
        let answer = gateway.send(&wire.request(true).key(&key.key)).await;
        assert_broken_off(wire, &answer, &sent);
        assert!(next.received().is_empty(), "the first token was there");
        assert_billed_as_broken(&gateway.wait_record().await);
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_ends_after_the_idle_time() {
    for wire in [Wire::Chat, Wire::Messages, Wire::GeminiArray] {
        let (pieces, length) = begun(wire);
        let sent = pieces.concat();
        let answer = wire.stream_of(pieces).cut(length, Break::Stall);
        let provider = Provider::always(answer).await;
        let setup = Setup::new([wire.upstream("u", &provider)])
            .set("routing.idle_timeout_ms", "400")
            .set("routing.first_token_timeout_ms", "600000");
        let (gateway, key) = serving(&setup).await;
        let answer = gateway.send(&wire.request(true).key(&key.key)).await;
        assert_broken_off(wire, &answer, &sent);
        assert_eq!(provider.ended(0).await, provider::Ended::PeerLeft(length), "the upstream is let go");
        assert!(answer.text().contains("UPSTREAM_TIMEOUT"), "{}", answer.text());
        assert_billed_as_cut(&gateway.wait_record().await, "UPSTREAM_TIMEOUT");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_slow_first_token_is_not_held_to_the_idle_time() {
    // Before the first token counts its own time-out, far longer than the time between pieces.
    let pieces = Wire::Chat.pieces(&["a"]);
    assert_eq!(Wire::Chat.pieces_to_first_token(), 2, "the first piece has none");
    let (answer, steps) = stepped(Wire::Chat.stream(&["a"]));
    let provider = Provider::always(answer).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
        .set("routing.idle_timeout_ms", "300")
        .set("routing.first_token_timeout_ms", "600000")
        .set("routing.first_token_hold_ms", "0");
    let (gateway, key) = serving(&setup).await;
    steps.go(1);
    let mut exchange = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    // The gateway has the head and what comes before a token: it has passed them on.
    exchange.until(&pieces[0]).await;
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    steps.go_on();
    let (answer, _) = exchange.rest().await;
    assert_eq!((answer.status, answer.ended), (200, Ended::Whole));
    assert_eq!(answer.text(), String::from_utf8_lossy(&pieces.concat()));
    gateway.finish(&[&key]).await;
}

/// An error event of a provider; of an array, its last element and its end.
fn overloaded(wire: Wire) -> Bytes {
    let error =
        json!({"error": {"message": "Overloaded", "type": "overloaded_error", "code": 503, "status": "UNAVAILABLE"}});
    match wire {
        Wire::Messages => {
            event(&json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}))
        }
        Wire::Responses => {
            event(&json!({"type": "error", "code": "x", "message": "Overloaded", "error": {"message": "Overloaded"}}))
        }
        Wire::GeminiArray => format!("{error}]").into(),
        Wire::Chat | Wire::GeminiEvents => data(&error),
    }
}

#[tokio::test]
async fn an_error_and_nothing_before_it_costs_nothing_whatever_its_status() {
    for wire in Wire::ALL {
        let begin = if wire == Wire::GeminiArray { "[" } else { "" };
        let stream = [begin.as_bytes(), &overloaded(wire)].concat();
        let document = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        let answers = [wire.stream_of(vec![stream.clone().into()]), Answer::json(200, &document)];
        let (_provider, gateway, key) = one(wire, move |before, _| answers[before].clone()).await;
        for (stream, sent) in [(true, stream), (false, document.to_string().into_bytes())] {
            let answer = gateway.send(&wire.request(stream).key(&key.key)).await;
            assert_eq!(answer.text(), String::from_utf8_lossy(&sent), "{wire:?}");
            let record = gateway.record_of(&answer).await;
            let what = json!({"outcome": "upstream_error", "usage_source": "none", "cost_nanos": 0, "input_tokens": 0});
            assert_record(&record, what);
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn text_that_nobody_had_counted_yet_when_its_stream_broke_is_estimated() {
    // Gemini's first events count prompt and thoughts, and the answer only later.
    let told = |text: &str, thoughts: u64| {
        let usage =
            json!({"promptTokenCount": INPUT, "thoughtsTokenCount": thoughts, "totalTokenCount": INPUT + thoughts});
        data(&json!({"candidates": [{"content": {"parts": [{"text": text}]}}], "usageMetadata": usage}))
    };
    let pieces = vec![told("One two three", 2), told(" four five six seven eight", 2)];
    let answer = Wire::GeminiEvents.stream_of(pieces.clone()).cut(pieces.concat().len(), Break::Rst);
    let (answer, steps) = stepped(answer);
    let (_provider, gateway, key) = one(Wire::GeminiEvents, move |_, _| answer.clone()).await;
    steps.go(pieces.len());
    let mut exchange = gateway.open(&Wire::GeminiEvents.request(true).key(&key.key)).await;
    exchange.until_bytes(pieces.concat().len()).await;
    steps.go(1);
    exchange.rest().await;
    let record = gateway.wait_record().await;
    assert_record(&record, json!({"outcome": "upstream_error", "usage_source": "estimated", "input_tokens": INPUT}));
    let (input, output) = (number(&record, "input_tokens"), number(&record, "output_tokens"));
    assert!((6..=12).contains(&output), "eight words: {record}");
    assert_eq!(number(&record, "cost_nanos"), input * 1_000 + output * 2_000, "{record}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_error_event_of_the_provider_in_mid_stream_passes_as_it_is_and_is_not_doubled() {
    for wire in Wire::ALL {
        let (mut pieces, _) = begun(wire);
        let separator = if wire == Wire::GeminiArray { ",\r\n" } else { "" };
        pieces.push([separator.as_bytes(), &overloaded(wire)].concat().into());
        let sent = pieces.concat();
        let (_provider, gateway, key) = one(wire, move |_, _| wire.stream_of(pieces.clone())).await;
        let answer = gateway.send(&wire.request(true).key(&key.key)).await;
        assert_eq!((answer.ended, answer.text()), (Ended::Whole, String::from_utf8(sent).unwrap()), "{wire:?}");
        let record = gateway.wait_record().await;
        assert_record(&record, json!({"outcome": "upstream_error", "status": 200}));
        assert!(number(&record, "cost_nanos") > 0, "{record}");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn an_error_event_of_the_provider_is_its_last_word_however_its_connection_ends() {
    for wire in Wire::ALL {
        let (mut pieces, _) = begun(wire);
        let separator = if wire == Wire::GeminiArray { ",\r\n" } else { "" };
        pieces.push([separator.as_bytes(), &overloaded(wire)].concat().into());
        let (sent, steps) = (pieces.concat(), Steps::new());
        let stream = wire.stream_of([&pieces[..], &["x".into()]].concat()).stepped(&steps);
        let ways = [Break::Fin, Break::Rst].map(|how| stream.clone().cut(sent.len(), how));
        let (_provider, gateway, key) = one(wire, move |before, _| ways[before % 2].clone()).await;
        for _ in 0..2 {
            steps.go(pieces.len());
            let mut exchange = gateway.open(&wire.request(true).key(&key.key)).await;
            exchange.until_bytes(sent.len()).await;
            steps.go(1);
            let (answer, _) = exchange.rest().await;
            let text = String::from_utf8_lossy(&sent);
            assert_eq!((answer.ended, &*answer.text()), (Ended::Whole, &*text), "{wire:?}");
            let record = gateway.record_of(&answer).await;
            assert_record(&record, json!({"outcome": "upstream_error", "error_code": "UPSTREAM_ERROR_EVENT"}));
        }
        let judged = async |result| gateway.metric("tollgate_attempts_total", &["u", result]).await;
        assert_eq!((judged("connect").await, judged("").await), (0.0, 2.0), "{wire:?}: by what it said");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn who_leaves_at_the_providers_error_has_not_aborted_anything() {
    // As official SDKs do: they raise what it says, and close.
    for (wire, policy) in Wire::ALL.into_iter().flat_map(|wire| [(wire, "\"drain\""), (wire, "\"abort\"")]) {
        let (mut pieces, _) = begun(wire);
        let separator = if wire == Wire::GeminiArray { ",\r\n" } else { "" };
        pieces.push([separator.as_bytes(), &overloaded(wire)].concat().into());
        let (sent, steps) = (pieces.concat(), Steps::new());
        let stream = wire.stream_of([&pieces[..], &["x".into()]].concat()).stepped(&steps);
        let provider = Provider::always(stream).await;
        let setup = Setup::new([wire.upstream("u", &provider)]).set("routing.on_client_disconnect", policy);
        let (gateway, key) = serving(&setup).await;
        steps.go(pieces.len());
        let mut exchange = gateway.open(&wire.request(true).key(&key.key)).await;
        exchange.until_bytes(sent.len()).await;
        exchange.close();
        if policy == "\"drain\"" {
            wait_drains(&gateway, 1).await;
            steps.go_on();
        }
        let record = gateway.wait_record().await;
        assert_record(
            &record,
            json!({"outcome": "upstream_error", "error_code": "UPSTREAM_ERROR_EVENT", "status": 200}),
        );
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn http2_clients_see_the_same_end() {
    for wire in [Wire::Chat, Wire::Messages] {
        let (pieces, length) = begun(wire);
        let sent = pieces.concat();
        let (answer, steps) = stepped(wire.stream_of(pieces.clone()).cut(length, Break::Rst));
        let (_provider, gateway, key) = one(wire, move |_, _| answer.clone()).await;
        steps.go(pieces.len());
        let mut exchange = h2c::open(gateway.address, &wire.request(true).key(&key.key)).await;
        exchange.until_bytes(length).await;
        steps.go(1);
        let answer = exchange.rest().await;
        assert_broken_off(wire, &answer, &sent);
        gateway.finish(&[&key]).await;
    }
}

/// The shortest stream of a wire: one token, then its end.
fn short(wire: Wire) -> Vec<Bytes> {
    match wire {
        Wire::Chat => vec![
            data(&json!({"choices": [{"index": 0, "delta": {"content": "hé"}}]})),
            data(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})),
            data(
                &json!({"choices": [], "usage": {"prompt_tokens": INPUT, "completion_tokens": 1, "total_tokens": INPUT + 1}}),
            ),
            Bytes::from_static(b"data: [DONE]\n\n"),
        ],
        Wire::Responses => vec![
            event(&json!({"type": "response.output_text.delta", "delta": "hé"})),
            event(&json!({"type": "response.completed", "response": {"status": "completed",
                "usage": {"input_tokens": INPUT, "output_tokens": 1, "total_tokens": INPUT + 1}}})),
        ],
        Wire::Messages => vec![
            event(&json!({"type": "message_start", "message": {"usage": {"input_tokens": INPUT, "output_tokens": 1}}})),
            event(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hé"}})),
            event(
                &json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}),
            ),
            event(&json!({"type": "message_stop"})),
        ],
        Wire::GeminiEvents | Wire::GeminiArray => {
            let part = |done: bool| {
                let mut candidate = json!({"content": {"parts": [{"text": "hé"}]}});
                if done {
                    candidate["finishReason"] = json!("STOP");
                }
                json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": INPUT, "candidatesTokenCount": 1}})
            };
            let values = [part(false), part(true)];
            match wire {
                Wire::GeminiArray => crate::calls::gemini_array(&values),
                _ => values.iter().map(|value| format!("data: {value}\r\n\r\n").into()).collect(),
            }
        }
    }
}

/// Where in its short stream a wire's first token is complete, and from where on it is whole.
fn landmarks(wire: Wire) -> (usize, usize) {
    let pieces = short(wire);
    let until = |count: usize| pieces[..count].iter().map(Bytes::len).sum::<usize>();
    let first = if wire == Wire::Messages { 2 } else { 1 };
    (until(first), until(pieces.len()))
}

/// Checks one answer and its record, for a stream that broke `at` so many bytes.
fn assert_offset(wire: Wire, at: usize, answer: &Got, record: &Value) {
    let whole = short(wire).concat();
    let (token, end) = landmarks(wire);
    let told = format!("{wire:?} broken at {at} of {end}: {} {:?} {record}", answer.status, answer.text());
    assert_eq!(answer.ended, Ended::Whole, "{told}");
    assert_eq!(record["attempts"], 1, "{told}");
    let held = number(record, "cost_nanos");
    // Half a `[DONE]` cannot be made into anything that a client could parse.
    let margin = if wire == Wire::Chat { 8 } else { 5 };
    // An event is complete with its line's end, or with the blank line, or (Gemini's array) with its brace: from which of
    // these bytes on it counts is not laid down.
    if at + 5 <= token {
        assert_eq!((answer.status, &record["status"]), (503, &json!(503)), "{told}");
        assert_eq!((&record["outcome"], held), (&json!("upstream_error"), 0), "{told}");
    } else if at > token && at + margin <= end && answer.status == 503 {
        // The end came together with the token, and so before anything went out.
        assert_eq!((&record["outcome"], held), (&json!("upstream_error"), 0), "{told}");
    } else if at > token && at + margin <= end {
        assert_eq!((answer.status, &record["outcome"]), (200, &json!("upstream_error")), "{told}");
        assert!(answer.body().starts_with(&whole[..token]), "{told}");
        assert!(held > 0 && held <= 10_000_000, "{told}");
        wire.error_at_end(&answer.text());
    } else if at == end && wire.terminal().is_some() {
        assert_eq!((answer.status, &record["outcome"], answer.body()), (200, &json!("ok"), whole), "{told}");
        assert_eq!(number(record, "cost_nanos"), 12_000, "{told}");
    }
}

#[tokio::test]
async fn an_upstream_may_break_at_any_byte() {
    for gateway in Wire::ALL.map(|wire| tokio::spawn(breaks_everywhere(wire))) {
        gateway.await.expect("no assertion fails");
    }
}

async fn breaks_everywhere(wire: Wire) {
    let pieces = short(wire);
    let length: usize = pieces.iter().map(Bytes::len).sum();
    // Each offset twice: the end of the connection, and its reset. In between whole answers, for the breaker's sake.
    let provider = Provider::start(move |_, request| {
        let word = request.target.split('/').nth(1).unwrap_or_default();
        let Ok(at) = word[1..].parse() else { return wire.stream_of(pieces.clone()) };
        wire.stream_of(pieces.clone()).cut(at, if word.starts_with('r') { Break::Rst } else { Break::Fin })
    })
    .await;
    let upstream = |name: &str| {
        let base = match wire {
            Wire::Chat | Wire::Responses => provider.url(&format!("/{name}/v1")),
            _ => provider.url(&format!("/{name}")),
        };
        let model = format!("[{{ name = \"{name}\", upstream_model = \"m\" }}]");
        crate::support::gateway::Upstream::new(name, wire.row_name(), base).models(&model)
    };
    let names: Vec<String> = (0..=length).flat_map(|at| [format!("f{at}"), format!("r{at}")]).collect();
    let (gateway, key) = serving(&Setup::new(names.iter().map(|name| upstream(name)))).await;
    let requests: Vec<Request> = names.iter().map(|name| wire.request_for(name, true).key(&key.key)).collect();
    let answers = send_each(&gateway, requests, 2).await;
    let records = gateway.wait_records(names.len()).await;
    let by_id: std::collections::HashMap<&str, &Value> =
        records.iter().filter_map(|record| Some((record["request_id"].as_str()?, record))).collect();
    assert_eq!(by_id.len(), names.len(), "one record each");
    for (name, answer) in names.iter().zip(&answers) {
        let id = answer.field("x-request-id").expect("an id");
        let at = name[1..].parse().expect("an offset");
        assert_offset(wire, at, answer, by_id[id]);
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_counts_as_whole() {
    let finished = chat_pieces(&["a", "b"], None);
    let without_done = finished[..finished.len() - 1].to_vec();
    let without_finish = finished[..finished.len() - 2].to_vec();
    let ways = [
        // A clean end after a finish reason, though `[DONE]` is missing: whole.
        (Answer::stream(without_done.clone()), "ok"),
        (Answer::stream(without_done.clone()).delimited(Delimited::Close), "ok"),
        // The terminal event has come; what is wrong behind it does not matter.
        (Answer::stream(finished.clone()).cut(finished.concat().len(), Break::Rst), "ok"),
        (Answer::stream(finished.clone()).cut(finished.concat().len(), Break::Fin), "ok"),
        // No clean end, or no finish reason: not whole.
        (Answer::stream(without_done.clone()).cut(without_done.concat().len(), Break::Fin), "upstream_error"),
        (Answer::stream(without_finish.clone()), "upstream_error"),
        (Answer::stream(without_finish.clone()).delimited(Delimited::Close), "upstream_error"),
    ];
    let steps = Steps::new();
    let answers: Vec<Answer> = ways.iter().map(|(answer, _)| answer.clone().stepped(&steps)).collect();
    let (_provider, gateway, key) = one(Wire::Chat, move |before, _| answers[before].clone()).await;
    for (index, (sent, outcome)) in ways.iter().enumerate() {
        let sent = sent.sent_pieces();
        steps.go(sent.len());
        let mut exchange = gateway.open(&plain_chat(true).key(&key.key)).await;
        exchange.until_bytes(sent.iter().map(Bytes::len).sum()).await;
        steps.go(1);
        let (answer, _) = exchange.rest().await;
        let record = gateway.record_of(&answer).await;
        assert_eq!((record["outcome"].as_str(), answer.ended), (Some(*outcome), Ended::Whole), "way {index}: {record}");
        let sent = sent.concat();
        if *outcome == "ok" {
            assert_eq!(answer.text(), String::from_utf8_lossy(&sent), "way {index}");
        } else {
            assert_broken_off(Wire::Chat, &answer, &sent);
        }
        assert_eq!(record["usage_source"], "estimated", "nothing was reported: {record}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_document_that_is_too_long_to_be_held_breaks_visibly() {
    let long = Wire::Chat.document(&"word ".repeat(200_000)).to_string();
    let cut = Answer::new(200, "application/json", long.clone()).cut(900_000, Break::Fin);
    let provider = Provider::always(cut).await;
    let next = Provider::always(Wire::Chat.whole("x")).await;
    let setup =
        Setup::new([Wire::Chat.upstream("u", &provider), Wire::Chat.upstream("next", &next).with("priority = 1")]);
    let (gateway, key) = serving(&setup).await;
    let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
    // It began to go out: nobody can take over, and its end must not look like one.
    assert_eq!((answer.status, answer.ended), (200, Ended::Broken));
    assert!(long.as_bytes().starts_with(&answer.body()));
    assert!(next.received().is_empty());
    assert_billed_as_broken(&gateway.wait_record().await);
    gateway.finish(&[&key]).await;
}

/// A refusal whose body stops after so many bytes.
fn cut_error(status: u16, bytes: usize, how: Break) -> Answer {
    Answer::json(status, &json!({"error": {"message": "it is wrong", "type": "x"}})).cut(bytes, how)
}

#[tokio::test]
async fn an_error_that_breaks_off_is_what_its_status_says() {
    let cases = [(0, Break::Fin, true), (20, Break::Fin, true), (20, Break::Fin, false), (20, Break::Stall, true)];
    for ((bytes, how, has_length), client) in
        cases.into_iter().flat_map(|case| [(case, Wire::Chat), (case, Wire::Messages)])
    {
        let delimited = if has_length { Delimited::Length } else { Delimited::Chunked };
        let provider = Provider::start(move |_, request| match String::from_utf8_lossy(&request.body) {
            body if body.contains("temperature") => cut_error(400, bytes, how).delimited(delimited),
            _ => Wire::Chat.whole("x"),
        })
        .await;
        let next = Provider::always(Wire::Chat.whole("x")).await;
        let setup =
            Setup::new([Wire::Chat.upstream("u", &provider), Wire::Chat.upstream("next", &next).with("priority = 1")]);
        let (gateway, key) = serving(&setup.set("routing.idle_timeout_ms", "200")).await;
        let mut bad = client.body("m", false);
        bad["temperature"] = json!(1);
        let bad = Request::post(&client.target("m", false), &bad).key(&key.key);
        // More than open a breaker.
        for _ in 0..6 {
            let answer = gateway.send(&bad).await;
            let what = format!("{client:?} {bytes} {how:?} {has_length}: {}", answer.text());
            assert_eq!((answer.status, answer.ended), (400, Ended::Whole), "{what}");
            assert_eq!(error_of(client, &answer).1, "invalid_request_error", "{what}");
        }
        let answer = gateway.send(&client.request(false).key(&key.key)).await;
        assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some("u")), "{}", answer.text());
        assert!(next.received().is_empty());
        assert_eq!(gateway.metric("tollgate_attempts_total", &["upstream=\"u\"", "result=\"client\""]).await, 6.0);
        gateway.wait_records(7).await;
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_rate_limit_that_breaks_off_is_one_with_its_time() {
    let limited = cut_error(429, 20, Break::Fin).field("retry-after", "7");
    let (provider, gateway, key) = one(Wire::Chat, move |_, _| limited.clone()).await;
    let answer = gateway.send(&plain_chat(false).key(&key.key)).await;
    assert_eq!((answer.status, answer.field("retry-after")), (429, Some("7")), "{}", answer.text());
    assert_eq!(error_of(Wire::Chat, &answer).1, "rate_limit_error");
    assert_record(&gateway.wait_record().await, json!({"status": 429, "error_code": "UPSTREAM_STATUS_429"}));
    // It is not asked before that.
    assert_ne!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    provider.only();
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_is_said_at_last_leaves_the_connection_as_its_head_promised() {
    let (pieces, length) = begun(Wire::Chat);
    let (_provider, gateway, key) = one(Wire::Chat, move |before, _| match before % 2 {
        // Nothing came: it is refused.
        0 => Wire::Chat.stream_of(pieces.clone()).cut(0, Break::Fin),
        _ => Wire::Chat.stream_of(pieces.clone()).cut(length, Break::Fin),
    })
    .await;
    let mut client = Client::connect(gateway.address).await.expect("the gateway listens");
    for status in [503, 200, 503, 200] {
        let (answer, next) = client.send_and_keep(&Wire::Chat.request(true).key(&key.key)).await;
        assert_eq!((answer.status, answer.ended), (status, Ended::Whole), "{}", answer.text());
        assert_eq!(answer.field("connection"), Some("keep-alive"));
        client = next;
    }
    gateway.wait_records(4).await;
    gateway.finish(&[&key]).await;
}
