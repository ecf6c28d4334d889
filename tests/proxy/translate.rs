//! The translate lane: clients of one dialect, upstreams of another.

use crate::calls::{COST, INPUT, OUTPUT, TOKENS, Wire, number, serving, stepped, wants_stream};
use crate::support::client::{Answer as Got, Request};
use crate::support::gateway::{Gateway, PROVIDER_KEY, Setup, Upstream};
use crate::support::provider::{ClosedPort, Provider};
use crate::support::script::{Answer, Break};
use serde_json::{Value, json};

/// The upstream of a wire that speaks nothing else.
pub(crate) fn upstream(wire: Wire, name: &str, provider: &Provider) -> Upstream {
    match wire {
        Wire::Responses => Upstream::new(name, "openai-responses", provider.url("/v1")),
        // The row `openai` speaks Responses too, which would then not be translated.
        Wire::Chat => Upstream::new(name, "nvidia", provider.url("/v1")),
        wire => wire.upstream(name, provider),
    }
}

/// Clients, and upstreams that speak another dialect.
pub(crate) fn pairs() -> impl Iterator<Item = (Wire, Wire)> {
    let upstreams = [Wire::Chat, Wire::Responses, Wire::Messages, Wire::GeminiEvents];
    let all = Wire::ALL.into_iter().flat_map(move |client| upstreams.map(|upstream| (client, upstream)));
    all.filter(|(client, upstream)| client.dialect() != upstream.dialect())
}

fn texts(value: &Value, paths: &[&str]) -> String {
    paths.iter().filter_map(|path| value.pointer(path)).filter_map(Value::as_str).collect()
}

/// The text of an answer, as its client reads it.
pub(crate) fn text_of(wire: Wire, body: &str, stream: bool) -> String {
    if !stream {
        let value: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        let message = value["output"].as_array().and_then(|items| items.iter().find(|item| item["type"] == "message"));
        return match wire {
            Wire::Responses => texts(message.expect("a message"), &["/content/0/text"]),
            _ => {
                texts(&value, &["/choices/0/message/content", "/content/0/text", "/candidates/0/content/parts/0/text"])
            }
        };
    }
    let values = wire.values(body);
    let of = |value: &Value| match wire {
        Wire::Chat => texts(value, &["/choices/0/delta/content"]),
        Wire::Responses if value["type"] == "response.output_text.delta" => texts(value, &["/delta"]),
        Wire::Responses => String::new(),
        Wire::Messages => texts(value, &["/delta/text"]),
        Wire::GeminiEvents | Wire::GeminiArray => texts(value, &["/candidates/0/content/parts/0/text"]),
    };
    values.iter().map(of).collect()
}

/// Input and output tokens as the client is told.
pub(crate) fn usage_of(wire: Wire, body: &str, stream: bool) -> (u64, u64) {
    let values = if stream { wire.values(body) } else { vec![serde_json::from_str(body).expect("JSON")] };
    let find = |paths: &[&str]| {
        let found = values.iter().rev().flat_map(|value| paths.iter().filter_map(|path| value.pointer(path)));
        found.filter_map(Value::as_u64).next().unwrap_or_else(|| panic!("no {paths:?} in {body}"))
    };
    (
        find(&[
            "/usage/prompt_tokens",
            "/usage/input_tokens",
            "/response/usage/input_tokens",
            "/usageMetadata/promptTokenCount",
        ]),
        find(&[
            "/usage/completion_tokens",
            "/usage/output_tokens",
            "/response/usage/output_tokens",
            "/usageMetadata/candidatesTokenCount",
        ]),
    )
}

#[tokio::test]
async fn a_client_of_any_dialect_reaches_an_upstream_of_any_other() {
    for (client, wire) in pairs() {
        let provider = Provider::start(move |_, request| wire.answer(wants_stream(request))).await;
        let (gateway, key) = serving(&Setup::new([upstream(wire, "u", &provider)])).await;
        for (index, stream) in [false, true].into_iter().enumerate() {
            let what = format!("{client:?} to {wire:?}, stream {stream}");
            let request = client.request(stream).key(&key.key).field("anthropic-version", "2023-06-01");
            let request = request.field("openai-beta", "x").field("x-goog-api-client", "x");
            let claim = format!("i{index}");
            let request = request.field("idempotency-key", &claim).field("x-idempotency-key", &claim);
            let answer = gateway.send(&request).await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.text());
            assert_eq!(answer.field("x-tollgate-translated"), Some(wire.dialect()), "{what}");
            let expected = if stream { TOKENS.concat() } else { "Hello there.".to_owned() };
            assert_eq!(text_of(client, &answer.text(), stream), expected, "{what}: {}", answer.text());
            assert_eq!(usage_of(client, &answer.text(), stream), (INPUT, OUTPUT), "{what}");
            if let Some(terminal) = client.terminal().filter(|_| stream) {
                assert!(answer.text().contains(terminal), "{what}: {}", answer.text());
            }
            let record = gateway.record_of(&answer).await;
            assert_eq!(record["dialect"], client.dialect(), "{what}");
            assert_eq!((number(&record, "cost_nanos"), &record["outcome"]), (COST, &json!("ok")), "{what}");
            assert_eq!(record["usage_source"], "reported", "{what}");
            let sent = &provider.received()[index];
            assert_eq!(sent.target, wire.target("m", stream), "{what}");
            assert!(String::from_utf8_lossy(&sent.body).contains("Say something."), "{what}");
            assert!(sent.fields.iter().any(|(_, value)| value.contains(PROVIDER_KEY)), "{what}");
            assert!(sent.fields.iter().all(|(_, value)| !value.contains(&*key.key)), "{what}");
            assert_eq!(sent.field("openai-beta").or(sent.field("x-goog-api-client")), None, "{what}");
            assert_eq!(sent.field("content-type"), Some("application/json"), "{what}");
            assert!(sent.field("idempotency-key").is_some(), "{what}");
            assert_eq!(sent.field("x-idempotency-key"), sent.field("idempotency-key"), "{what}");
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn the_first_token_is_not_held_until_the_next_event() {
    for (client, wire) in pairs() {
        let (answer, steps) = stepped(wire.stream(&TOKENS));
        let provider = Provider::always(answer).await;
        let (gateway, key) = serving(&Setup::new([upstream(wire, "u", &provider)])).await;
        steps.go(wire.pieces_to_first_token());
        let mut running = gateway.open(&client.request(true).key(&key.key)).await;
        running.until(b"Hello").await;
        steps.go_on();
        let (answer, _) = running.rest().await;
        assert_eq!(text_of(client, &answer.text(), true), TOKENS.concat(), "{client:?} to {wire:?}");
        gateway.finish(&[&key]).await;
    }
}

/// Google's clients get a call as a whole: while its arguments come, nothing goes out.
#[tokio::test]
async fn a_stream_that_comes_is_not_silent_though_nothing_of_it_can_go_out_yet() {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!("data: {}\n\n", json!({"id": "c", "model": "m", "choices": [choice]}))
    };
    let argue = |json: &str| chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": json}}]}), Value::Null);
    let named = json!({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{\"a\":["}}]});
    let mut pieces = vec![chunk(named, Value::Null)];
    pieces.extend((0..12).map(|_| argue("1,")));
    pieces.extend([argue("1]}"), chunk(json!({}), json!("tool_calls")), "data: [DONE]\n\n".to_owned()]);
    let provider = Provider::always(Answer::stream(pieces).pieces_every_ms(150)).await;
    let setup = Setup::new([upstream(Wire::Chat, "u", &provider)]).set("routing.idle_timeout_ms", "1000");
    let (gateway, key) = serving(&setup).await;
    let answer = gateway.send(&Wire::GeminiEvents.request(true).key(&key.key)).await;
    let values = Wire::GeminiEvents.values(&answer.text());
    let call = &values[0]["candidates"][0]["content"]["parts"][0]["functionCall"];
    assert_eq!(call["args"], json!({"a": vec![1; 13]}), "{}", answer.text());
    assert_eq!(gateway.record_of(&answer).await["outcome"], "ok");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_upstream_of_another_dialect_takes_over() {
    for (client, wire) in pairs() {
        let broken = Provider::always(Answer::json(500, &json!({"error": {"message": "no"}}))).await;
        let works = Provider::start(move |_, request| wire.answer(wants_stream(request))).await;
        // Of the same priority: the one that needs no translation is tried first.
        let setup = Setup::new([upstream(wire, "other", &works), upstream(client, "native", &broken)]);
        let (gateway, key) = serving(&setup).await;
        for stream in [false, true] {
            let answer = gateway.send(&client.request(stream).key(&key.key)).await;
            let what = format!("{client:?} to {wire:?}, stream {stream}: {}", answer.text());
            assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some("other")), "{what}");
            assert_eq!(answer.field("x-tollgate-attempts"), Some("2"), "{what}");
            assert_eq!(number(&gateway.record_of(&answer).await, "cost_nanos"), COST, "{what}");
        }
        gateway.finish(&[&key]).await;
    }
}

/// The error of an answer in its client's shape: message, and the word for its kind.
pub(crate) fn error_of(wire: Wire, answer: &Got) -> (String, String) {
    let value = answer.json();
    let kind = if matches!(wire, Wire::GeminiEvents | Wire::GeminiArray) { "status" } else { "type" };
    let word = |name: &str| value["error"][name].as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
    if wire == Wire::Messages {
        assert_eq!(value["type"], "error");
    }
    (word("message"), word(kind))
}

#[tokio::test]
async fn an_upstreams_error_keeps_its_meaning_in_the_clients_dialect() {
    for (client, wire) in pairs() {
        let body = match wire {
            Wire::Chat | Wire::Responses => json!({"error": {"message": "slow down", "type": "rate_limit_error"}}),
            Wire::Messages => {
                json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}})
            }
            _ => json!({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}),
        };
        let provider = Provider::always(Answer::json(429, &body).field("retry-after", "7")).await;
        let (gateway, key) = serving(&Setup::new([upstream(wire, "u", &provider)])).await;
        let answer = gateway.send(&client.request(true).key(&key.key)).await;
        let expected = match client {
            Wire::GeminiEvents | Wire::GeminiArray => "RESOURCE_EXHAUSTED",
            _ => "rate_limit_error",
        };
        let what = format!("{client:?} to {wire:?}");
        assert_eq!((answer.status, answer.field("retry-after")), (429, Some("7")), "{what}");
        assert_eq!(error_of(client, &answer), ("slow down".to_owned(), expected.to_owned()), "{what}");
        assert_eq!(answer.field("content-type"), Some("application/json"), "{what}");
        let record = gateway.record_of(&answer).await;
        assert_eq!((&record["error_code"], number(&record, "cost_nanos")), (&json!("UPSTREAM_STATUS_429"), 0));
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn a_stream_that_dies_ends_with_an_error_in_the_clients_dialect() {
    for (client, wire) in pairs() {
        let whole = wire.stream(&TOKENS);
        let bytes: usize = wire.pieces(&TOKENS)[..wire.pieces_to_first_token() + 1].iter().map(|p| p.len()).sum();
        let provider = Provider::always(whole.cut(bytes, Break::Fin)).await;
        let (gateway, key) = serving(&Setup::new([upstream(wire, "u", &provider)])).await;
        let answer = gateway.send(&client.request(true).key(&key.key)).await;
        let what = format!("{client:?} to {wire:?}: {}", answer.text());
        client.error_at_end(&answer.text());
        assert!(answer.text().contains("Hello"), "{what}");
        if let Some(terminal) = client.terminal() {
            assert!(!answer.text().contains(terminal), "{what}");
        }
        assert_eq!(gateway.record_of(&answer).await["outcome"], "upstream_error", "{what}");
        gateway.finish(&[&key]).await;
    }
}

/// Where a piece of an answer ends is chance: what can be read of it goes out.
#[tokio::test]
async fn what_came_with_an_event_that_cannot_be_read_goes_out_before_the_error() {
    for (client, wire) in pairs() {
        let (pieces, first) = (wire.pieces(&TOKENS), wire.pieces_to_first_token());
        let last = [&pieces[first..=first].concat()[..], b"data: {\"choices\":}\n\n"].concat();
        let said = pieces[..first].iter().cloned().chain([last.into()]);
        let (answer, steps) = stepped(Answer::stream(said));
        let provider = Provider::always(answer).await;
        let (gateway, key) = serving(&Setup::new([upstream(wire, "u", &provider)])).await;
        steps.go(first);
        let mut running = gateway.open(&client.request(true).key(&key.key)).await;
        running.until(b"Hello").await;
        steps.go_on();
        let (answer, _) = running.rest().await;
        let what = format!("{client:?} to {wire:?}: {}", answer.text());
        client.error_at_end(&answer.text());
        assert_eq!(text_of(client, &answer.text(), true), TOKENS[..2].concat(), "{what}");
        assert_eq!(gateway.record_of(&answer).await["outcome"], "upstream_error", "{what}");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_not_its_dialects_fails_over() {
    let nonsense = Provider::always(Answer::json(200, &json!({"id": 5, "content": "no", "choices": 7}))).await;
    let works = Provider::always(Wire::Chat.whole("Hello there.")).await;
    let first = upstream(Wire::Messages, "nonsense", &nonsense);
    let setup = Setup::new([first, upstream(Wire::Chat, "works", &works).with("priority = 1")]);
    let (gateway, key) = serving(&setup).await;
    let answer = gateway.send(&Wire::GeminiEvents.request(false).key(&key.key)).await;
    assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some("works")), "{}", answer.text());
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_an_upstream_cannot_be_told_is_refused_by_name_or_left_out_and_said() {
    let provider = Provider::start(|_, request| Wire::Messages.answer(wants_stream(request))).await;
    let (gateway, key) = serving(&Setup::new([upstream(Wire::Messages, "u", &provider)])).await;
    let chat = |field: &str, value: Value| {
        let mut body = Wire::Chat.body("m", false);
        body[field] = value;
        Request::post("/v1/chat/completions", &body).key(&key.key)
    };
    for (field, value) in [("logit_bias", json!({"1": 2})), ("frequency_penalty", json!(1.5)), ("zzz", json!(1))] {
        let refused = gateway.send(&chat(field, value)).await;
        assert_eq!((refused.status, &*refused.error_code()), (400, "INVALID_REQUEST"), "{}", refused.text());
        assert_eq!(refused.json()["error"]["param"], field, "{}", refused.text());
    }
    assert!(provider.received().is_empty(), "nothing was sent");
    let answer = gateway.send(&chat("seed", json!(5))).await;
    assert_eq!((answer.status, answer.field("x-tollgate-left-out")), (200, Some("seed")));
    let answer = gateway.send(&chat("n", json!(1))).await;
    assert_eq!((answer.status, answer.field("x-tollgate-left-out")), (200, None));
    assert_eq!(gateway.wait_records(2).await.len(), 2, "what is refused has no record");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_candidate_that_cannot_be_told_gives_way_to_one_that_can() {
    let messages = Provider::always(Wire::Messages.whole("Hello there.")).await;
    let chat = Provider::always(Wire::Chat.whole("Hello there.")).await;
    let second = upstream(Wire::Chat, "chat", &chat).with("priority = 1");
    let (gateway, key) = serving(&Setup::new([upstream(Wire::Messages, "messages", &messages), second])).await;
    let mut body = Wire::Chat.body("m", false);
    body["logit_bias"] = json!({"1": 2});
    let answer = gateway.send(&Request::post("/v1/chat/completions", &body).key(&key.key)).await;
    assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some("chat")), "{}", answer.text());
    assert_eq!(answer.field("x-tollgate-attempts"), Some("1"));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_item_that_is_only_named_goes_to_who_may_have_it() {
    let messages = Provider::always(Wire::Messages.whole("Hello there.")).await;
    let native = Provider::always(Wire::Responses.whole("Hello there.")).await;
    let first = upstream(Wire::Messages, "messages", &messages).models(r#"["m", "alone"]"#);
    let second = upstream(Wire::Responses, "native", &native).with("priority = 1").models(r#"["m"]"#);
    let (gateway, key) = serving(&Setup::new([first, second]).set("pricing.unknown_model", "\"allow\"")).await;
    let go_on = |model: &str, id: &str| {
        let input = json!([{"role": "user", "content": "Hi"}, {"type": "item_reference", "id": id}, {"role": "user", "content": "Ho"}]);
        Request::post("/v1/responses", &json!({"model": model, "max_output_tokens": 100, "input": input})).key(&key.key)
    };
    let refused = gateway.send(&go_on("alone", "msg_1")).await;
    assert_eq!((refused.status, &*refused.error_code()), (400, "INVALID_REQUEST"), "{}", refused.text());
    assert_eq!(refused.json()["error"]["param"], "input[1].type");
    assert!(refused.text().contains("send the item itself (AI SDK: `providerOptions.openai.store = false`)"));
    let thought = gateway.send(&go_on("alone", "rs_01990000000070008000000000000001_0")).await;
    assert_eq!((thought.status, thought.field("x-tollgate-left-out")), (200, Some("input.item_reference")));
    let answer = gateway.send(&go_on("m", "msg_1")).await;
    assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some("native")), "{}", answer.text());
    assert!(String::from_utf8_lossy(&native.received()[0].body).contains("item_reference"));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn where_nobody_answers_the_next_may_turn_out_not_to_be_tellable() {
    let messages = Provider::always(Wire::Messages.whole("Hello there.")).await;
    let chat = Provider::always(Wire::Chat.whole("Hello there.")).await;
    let closed = ClosedPort::new();
    let first = Wire::Chat.upstream_at("closed", closed.address);
    let second = upstream(Wire::Messages, "messages", &messages).with("priority = 1");
    let third = upstream(Wire::Chat, "chat", &chat).with("priority = 2");
    let mut body = Wire::Chat.body("m", false);
    body["logit_bias"] = json!({"1": 2});
    // Many bytes: the second's turn is found out on another thread.
    for text in ["Hello".to_owned(), "word ".repeat(100_000)] {
        body["messages"][0]["content"] = json!(text);
        for third in [Some(third.clone()), None] {
            let is_third = third.is_some();
            let setup = [first.clone(), second.clone()].into_iter().chain(third);
            let (gateway, key) = serving(&Setup::new(setup)).await;
            let answer = gateway.send(&Request::post("/v1/chat/completions", &body).key(&key.key)).await;
            let record = gateway.wait_records(1).await.remove(0);
            if is_third {
                assert_eq!(
                    (answer.status, answer.field("x-tollgate-upstream")),
                    (200, Some("chat")),
                    "{}",
                    answer.text()
                );
            } else {
                assert_eq!((answer.status, &*answer.error_code()), (503, "UPSTREAM_UNAVAILABLE"), "{}", answer.text());
            }
            assert_eq!(record["attempts"], if is_third { 2 } else { 1 }, "{record}");
            gateway.finish(&[&key]).await;
        }
    }
    assert!(messages.received().is_empty());
}

#[tokio::test]
async fn a_count_of_tokens_is_estimated_where_nobody_can_be_asked() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let (gateway, key) = serving(&Setup::new([upstream(Wire::Chat, "u", &provider)])).await;
    let messages = json!({"model": "m", "messages": [{"role": "user", "content": "hello world"}]});
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "hello world"}]}]});
    for (target, body, field) in [
        ("/v1/messages/count_tokens", &messages, "input_tokens"),
        ("/v1beta/models/m:countTokens", &contents, "totalTokens"),
        ("/v1/responses/input_tokens", &json!({"model": "m", "input": "hello world"}), "input_tokens"),
    ] {
        let answer = gateway.send(&Request::post(target, body).key(&key.key)).await;
        assert_eq!((answer.status, answer.field("x-tollgate-estimated")), (200, Some("tokenizer")), "{target}");
        let tokens = answer.json()[field].as_u64().unwrap_or_else(|| panic!("{target}: {}", answer.text()));
        assert!((2..10).contains(&tokens), "{target}: {tokens}");
    }
    let unknown = json!({"model": "nobody", "messages": []});
    let answer = gateway.send(&Request::post("/v1/messages/count_tokens", &unknown).key(&key.key)).await;
    assert_eq!(answer.status, 404);
    assert!(provider.received().is_empty());
    assert_eq!(gateway.records(), [] as [Value; 0]);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_count_of_tokens_is_estimated_where_an_upstream_has_no_such_operation() {
    let unknown = Answer::new(404, "text/plain", "404 page not found").field("etag", "\"x\"").field("retry-after", "9");
    let detail = Answer::json(405, &json!({"detail": "Method Not Allowed"}));
    let empty = Answer::new(404, "text/plain", "");
    let no_model =
        Answer::json(404, &json!({"type": "error", "error": {"type": "not_found_error", "message": "model: m"}}));
    let counted = Answer::json(200, &json!({"input_tokens": 77}));
    let messages = json!({"model": "m", "messages": [{"role": "user", "content": "hello world"}]});
    let request = |key: &str| Request::post("/v1/messages/count_tokens", &messages).key(key);
    for (answer, is_counted_here) in
        [(&unknown, true), (&detail, true), (&empty, true), (&no_model, false), (&counted, false)]
    {
        let provider = Provider::always(answer.clone()).await;
        let (gateway, key) = serving(&Setup::new([upstream(Wire::Messages, "u", &provider)])).await;
        let got = gateway.send(&request(&key.key)).await;
        let told = format!("{}: {} {:?} {}", answer.status, got.status, got.fields, got.text());
        let record = gateway.record_of(&got).await;
        assert_eq!(got.field("x-tollgate-estimated"), is_counted_here.then_some("tokenizer"), "{told}");
        assert_eq!((number(&record, "status"), number(&record, "cost_nanos")), (got.status.into(), 0), "{record}");
        if is_counted_here {
            assert_eq!((got.status, got.field("content-type")), (200, Some("application/json")), "{told}");
            assert!((2..10).contains(&got.json()["input_tokens"].as_u64().expect("a number")), "{told}");
            assert_eq!((got.field("etag"), got.field("retry-after")), (None, None), "{told}");
            assert_eq!(record["error_code"], format!("UPSTREAM_STATUS_{}", answer.status), "{record}");
        } else {
            assert_eq!((got.status, got.body()), (answer.status, answer.body()), "{told}");
        }
        assert_eq!(gateway.metric("tollgate_breaker_state", &["u"]).await, 0.0, "it is well otherwise");
        gateway.finish(&[&key]).await;
    }
    // Whoever can count goes before.
    let (first, second) = (Provider::always(unknown).await, Provider::always(counted).await);
    let setup = Setup::new([
        upstream(Wire::Messages, "first", &first),
        upstream(Wire::Messages, "second", &second).with("priority = 1"),
    ]);
    let (gateway, key) = serving(&setup).await;
    let got = gateway.send(&request(&key.key)).await;
    assert_eq!((got.status, got.json()["input_tokens"].as_u64()), (200, Some(77)), "{}", got.text());
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_client_that_leaves_a_translated_stream_is_billed_for_what_it_came_to() {
    let (answer, steps) = stepped(Wire::Messages.stream(&TOKENS));
    let provider = Provider::always(answer).await;
    let gateway_setup = Setup::new([upstream(Wire::Messages, "u", &provider)]);
    let (gateway, key): (Gateway, _) = serving(&gateway_setup).await;
    steps.go(Wire::Messages.pieces_to_first_token());
    let mut running = gateway.open(&Wire::Chat.request(true).key(&key.key)).await;
    running.until(b"Hello").await;
    running.close();
    steps.go_on();
    let record = gateway.wait_record().await;
    assert_eq!((&record["outcome"], number(&record, "cost_nanos")), (&json!("client_aborted"), COST), "{record}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_conversation_that_began_at_another_dialects_upstream_goes_on_at_a_native_one() {
    let native = Provider::start(|_, request| Wire::Messages.answer(wants_stream(request))).await;
    let (gateway, key) = serving(&Setup::new([upstream(Wire::Messages, "u", &native)])).await;
    let turns = |signature: &str| {
        json!([{"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm", "signature": signature}, {"type": "text", "text": "Ho"}]},
            {"role": "user", "content": "Say something."}])
    };
    let ask = |signature: &str, stream: bool| {
        let body = json!({"model": "m", "max_tokens": 100, "stream": stream, "messages": turns(signature)});
        Request::post("/v1/messages", &body).key(&key.key).field("anthropic-beta", "some-beta")
    };
    for (index, stream) in [false, true].into_iter().enumerate() {
        let answer = gateway.send(&ask("tollgate.gemini.c2ln", stream)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.field("x-tollgate-left-out"), Some("messages.content.thinking"));
        assert_eq!(answer.field("x-tollgate-translated"), None, "the answer passes as it is");
        let expected = Wire::Messages.answer(stream).body();
        assert_eq!(answer.body(), expected);
        let sent = &native.received()[index];
        assert!(!String::from_utf8_lossy(&sent.body).contains("tollgate."), "the foreign signature stays here");
        assert_eq!((sent.json()["stream"] == json!(true), sent.field("anthropic-beta")), (stream, Some("some-beta")));
    }
    let answer = gateway.send(&ask("c2ln", false)).await;
    assert_eq!(answer.field("x-tollgate-left-out"), None);
    let sent = native.received().pop().expect("a request");
    assert_eq!(sent.json()["messages"], turns("c2ln"), "its own signatures go as they are");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_request_that_only_mentions_the_mark_of_foreign_signatures_passes_as_it_is() {
    let native = Provider::start(|_, request| Wire::Chat.answer(wants_stream(request))).await;
    let (gateway, key) = serving(&Setup::new([upstream(Wire::Chat, "u", &native)])).await;
    let body = json!({"model": "m", "functions": [{"name": "f"}], "store": true,
        "messages": [{"role": "user", "content": "tollgate.gemini.x"}]});
    let answer = gateway.send(&Request::post("/v1/chat/completions", &body).key(&key.key)).await;
    assert_eq!((answer.status, answer.field("x-tollgate-left-out")), (200, None));
    assert_eq!(native.only().json(), body);
    gateway.finish(&[&key]).await;
}

/// The whole way: what a translated answer says is given back, and goes to the dialect's own provider.
#[tokio::test]
async fn thoughts_and_calls_that_nobody_signed_do_not_trouble_the_native_upstream_of_the_next_turn() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let message = json!({"role": "assistant", "content": null, "reasoning_content": "Hm", "tool_calls": [call]});
    let choice = json!({"index": 0, "message": message, "finish_reason": "tool_calls"});
    let said = json!({"id": "x", "object": "chat.completion", "model": "m", "choices": [choice],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}});
    let first = Provider::always(Answer::json(200, &said)).await;
    for client in [Wire::Messages, Wire::GeminiEvents] {
        let (gateway, key) = serving(&Setup::new([upstream(Wire::Chat, "u", &first)])).await;
        let told = gateway.send(&client.request(false).key(&key.key)).await.json();
        gateway.finish(&[&key]).await;

        let native = Provider::always(client.whole("Hello there.")).await;
        let (gateway, key) = serving(&Setup::new([client.upstream("u", &native)])).await;
        let mut body = client.body("m", false);
        match client {
            Wire::Messages => {
                let turn = json!({"role": "assistant", "content": told["content"]});
                let result = json!({"type": "tool_result", "tool_use_id": "c", "content": "x"});
                let turns = body["messages"].as_array_mut().expect("messages");
                turns.extend([turn, json!({"role": "user", "content": [result]})]);
            }
            _ => {
                let turn = told["candidates"][0]["content"].clone();
                body["contents"].as_array_mut().expect("contents").push(turn);
            }
        }
        let answer = gateway.send(&Request::post(&client.target("m", false), &body).key(&key.key)).await;
        assert_eq!(answer.status, 200, "{client:?}: {}", answer.text());
        let sent = native.only().json();
        match client {
            Wire::Messages => {
                let blocks = sent["messages"][1]["content"].as_array().expect("blocks");
                let types: Vec<&str> = blocks.iter().filter_map(|block| block["type"].as_str()).collect();
                assert_eq!(types, ["tool_use"], "{sent}");
                assert_eq!(answer.field("x-tollgate-left-out"), Some("messages.content.thinking"));
            }
            _ => {
                let parts = sent["contents"][1]["parts"].as_array().expect("parts");
                let call = parts.iter().find(|part| part.get("functionCall").is_some()).expect("a call");
                assert_eq!(call["thoughtSignature"], "skip_thought_signature_validator", "{sent}");
            }
        }
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn what_a_vendor_refuses_is_left_out_and_said() {
    let provider = Provider::always(Wire::Chat.whole("Hello there.")).await;
    let mistral = Upstream::new("u", "mistral", provider.url("/v1"));
    let (gateway, key) = serving(&Setup::new([mistral])).await;
    let body = json!({"model": "m", "max_tokens": 9, "metadata": {"user_id": "u1"},
        "messages": [{"role": "user", "content": "Hi"}]});
    let answer = gateway.send(&Request::post("/v1/messages", &body).key(&key.key)).await;
    assert_eq!((answer.status, answer.field("x-tollgate-left-out")), (200, Some("metadata.user_id")));
    assert_eq!(provider.only().json().get("user"), None);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn calls_have_no_ids_at_vertexs_base_urls() {
    let provider = Provider::always(Wire::GeminiEvents.whole("Hello there.")).await;
    for (base, has_id) in [("/v1/publishers/google", false), ("/v1beta", true)] {
        let upstream = Upstream::new("u", "gemini", provider.url(base));
        let (gateway, key) = serving(&Setup::new([upstream])).await;
        let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"},
            {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c1", "content": "r"}]});
        let answer = gateway.send(&Request::post("/v1/chat/completions", &body).key(&key.key)).await;
        assert_eq!(answer.status, 200);
        let sent = provider.received().pop().expect("a request").json();
        assert_eq!(sent["contents"][1]["parts"][0]["functionCall"].get("id").is_some(), has_id, "{sent}");
        assert_eq!(sent["contents"][2]["parts"][0]["functionResponse"].get("id").is_some(), has_id, "{sent}");
        gateway.finish(&[&key]).await;
    }
}
