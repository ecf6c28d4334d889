//! Traces: a span for each request at the collector, in the trace of whoever called.

use crate::calls::{COST, INPUT, OUTPUT, Wire, plain_chat, serving, wants_stream};
use crate::plugins::wait_lost;
use crate::support::client::Request;
use crate::support::gateway::{Gateway, Key, PROVIDER_KEY, Setup};
use crate::support::provider::{Provider, Received};
use crate::support::script::Answer;
use crate::support::until;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// An upstream, a collector, and what a gateway between them is started with.
pub(crate) async fn stage(script: impl Fn(bool) -> Answer + Send + Sync + 'static) -> (Provider, Provider, Setup) {
    let provider = Provider::start(move |_, request| script(wants_stream(request))).await;
    let collector = Provider::always(Answer::json(200, &json!({}))).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
        .set("plugins.otlp.endpoint", &format!("\"{}\"", collector.url("/otel/")))
        .set("plugins.otlp.headers", "{ \"x-collector-key\" = \"collector-secret\" }")
        .set("plugins.otlp.service_name", "\"edge\"");
    (provider, collector, setup)
}

/// What a collector was sent, as OTLP's JSON.
pub(crate) fn otlp(call: &Received) -> Value {
    assert_eq!(call.field("content-type"), Some("application/x-protobuf"));
    let sent = ExportTraceServiceRequest::decode(&*call.body).expect("OTLP");
    serde_json::to_value(sent).expect("JSON")
}

/// All spans that have come, when there are so many, in the order of their requests: those of several threads come in any.
pub(crate) async fn spans(collector: &Provider, count: usize) -> Vec<Value> {
    until("the spans", || {
        let calls = collector.received();
        assert!(calls.iter().all(|call| call.target == "/otel/v1/traces"), "{:?}", calls[0].target);
        let mut all: Vec<Value> = calls
            .iter()
            .filter(|call| !call.body.is_empty())
            .flat_map(|call| {
                let sent = otlp(call);
                let resource = &sent["resourceSpans"][0];
                assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "edge");
                resource["scopeSpans"][0]["spans"].as_array().expect("spans").clone()
            })
            .collect();
        // Ids are made in turn.
        all.sort_by_key(|span| (span["startTimeUnixNano"].to_string(), span["traceId"].to_string()));
        (all.len() >= count).then_some(all)
    })
    .await
}

pub(crate) fn attribute(span: &Value, name: &str) -> Value {
    let all = span["attributes"].as_array().expect("attributes");
    let found = all.iter().find(|attribute| attribute["key"] == name);
    found.map_or(Value::Null, |found| found["value"].as_object().expect("one").values().next().expect("one").clone())
}

#[tokio::test]
async fn a_request_is_a_span_in_its_callers_trace_and_the_upstream_is_told_of_it() {
    let (provider, collector, setup) = stage(|stream| Wire::Chat.answer(stream)).await;
    let (gateway, key) = serving(&setup).await;
    let request = plain_chat(true).key(&key.key).field("traceparent", &format!("00-{TRACE}-{CALLER}-01"));
    let answer = gateway.send(&request.field("tracestate", "a=b")).await;
    assert_eq!(answer.status, 200);
    let span = spans(&collector, 1).await.remove(0);
    assert_eq!((&span["traceId"], &span["parentSpanId"]), (&json!(TRACE), &json!(CALLER)));
    let sent = provider.received().pop().expect("a request");
    let own = span["spanId"].as_str().expect("an id");
    assert_eq!(sent.field("traceparent"), Some(&*format!("00-{TRACE}-{own}-01")));
    assert_eq!(sent.field("tracestate"), Some("a=b"));
    for (name, value) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("openai")),
        ("gen_ai.request.model", json!("m")),
        ("gen_ai.usage.input_tokens", json!(INPUT.to_string())),
        ("gen_ai.usage.output_tokens", json!(OUTPUT.to_string())),
        ("http.response.status_code", json!("200")),
        ("tollgate.cost_nanos", json!(COST.to_string())),
        ("tollgate.key", json!("tester")),
        ("tollgate.upstream", json!("u")),
        ("tollgate.outcome", json!("ok")),
        ("tollgate.request_id", json!(answer.field("x-request-id").expect("an id"))),
    ] {
        assert_eq!(attribute(&span, name), value, "{name} of {span}");
    }
    let time = |name: &str| span[name].as_str().and_then(|text| text.parse::<u128>().ok()).expect("nanoseconds");
    assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
    let call = collector.received().remove(0);
    assert_eq!(call.field("x-collector-key"), Some("collector-secret"));
    let text = String::from_utf8_lossy(&call.body).into_owned();
    for secret in [&*key.key, PROVIDER_KEY, "Say something", "Hello"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_vendors_say_of_a_trace_ends_where_another_one_begins() {
    let (provider, collector, setup) = stage(|stream| Wire::Chat.answer(stream)).await;
    let (gateway, key) = serving(&setup).await;
    let request = || plain_chat(false).key(&key.key).field("tracestate", "a=b");
    for request in [request(), request().field("traceparent", "00-junk"), request().field("traceparent", "")] {
        assert_eq!(gateway.send(&request).await.status, 200);
    }
    let all = spans(&collector, 3).await;
    for sent in provider.received() {
        let told = sent.field("traceparent").expect("a trace");
        let of_it = |span: &&Value| span["traceId"].as_str().is_some_and(|trace| told.contains(trace));
        let span = all.iter().find(of_it).expect("its span");
        assert_eq!(sent.field("tracestate"), None);
        assert_eq!(span["parentSpanId"], "", "{span}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn lists_of_models_have_spans_and_health_pages_have_none() {
    let (_provider, collector, setup) = stage(|stream| Wire::Chat.answer(stream)).await;
    let (gateway, key) = serving(&setup).await;
    assert_eq!(gateway.send(&Request::get("/v1/health")).await.status, 200);
    for target in ["/v1/models", "/v1/models/m", "/v1beta/models"] {
        assert_eq!(gateway.send(&Request::get(target).key(&key.key)).await.status, 200, "{target}");
    }
    // A span is handed over when its answer is out: two may change places.
    let mut all = spans(&collector, 3).await;
    all.sort_by_key(|span| span["name"].to_string());
    let names: Vec<_> = all.iter().map(|span| span["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["GET models", "GET models", "model m"], "{all:?}");
    assert_eq!(attribute(&all[0], "gen_ai.request.model"), Value::Null);
    assert_eq!(attribute(&all[0], "tollgate.key"), json!("tester"));
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn prompt_and_answer_stand_in_spans_where_that_is_asked_for() {
    let messages = |span: &Value, name: &str| -> Value {
        let text = attribute(span, name);
        text.as_str().map_or(Value::Null, |text| serde_json::from_str(text).expect("whole JSON, however it was cut"))
    };
    let long = format!("my key is sk-tg-0123456789abcdef {}", "é".repeat(40_000));
    for captures in ["true", "false"] {
        let (_provider, collector, setup) = stage(|stream| Wire::Chat.answer(stream)).await;
        let setup = setup.set("plugins.otlp.capture_content", captures);
        let (gateway, key) = serving(&setup).await;
        let mut body = Wire::Chat.body("m", true);
        body["messages"] = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": long}]);
        assert_eq!(gateway.send(&Request::post("/v1/chat/completions", &body).key(&key.key)).await.status, 200);
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
        body["model"] = json!("nobody");
        assert_eq!(gateway.send(&Request::post("/v1/chat/completions", &body).key(&key.key)).await.status, 404);
        let all = spans(&collector, 3).await;
        let [input, output] = ["gen_ai.input.messages", "gen_ai.output.messages"]
            .map(|name| all.iter().map(|span| messages(span, name)).collect::<Vec<_>>());
        if captures == "false" {
            assert!(input.iter().chain(&output).all(Value::is_null), "{input:?} {output:?}");
        } else {
            assert_eq!(input[0][0], json!({"role": "system", "parts": [{"type": "text", "content": "Be brief."}]}));
            let told = input[0][1]["parts"][0]["content"].as_str().expect("text");
            assert!(told.starts_with("my key is sk-*** éé"), "{}", &told[..40]);
            assert!((32_000..=32 * 1024).contains(&told.len()), "{}", told.len());
            let answered = |text: &str| json!([{"role": "assistant", "parts": [{"type": "text", "content": text}]}]);
            assert_eq!(output, [answered("Hello there, friend."), answered("Hello there."), Value::Null]);
            assert_eq!(input[1][0]["role"], "user");
            assert_eq!(input[2], input[0], "what is refused has been asked, too");
        }
        let sent: String =
            collector.received().iter().map(|call| String::from_utf8_lossy(&call.body).into_owned()).collect();
        assert!(!sent.contains("sk-tg-") && !sent.contains(PROVIDER_KEY));
        assert!(!gateway.said().contains("Be brief"));
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn refusals_are_spans_too_and_what_is_not_sampled_is_none() {
    let (_provider, collector, setup) = stage(|stream| Wire::Chat.answer(stream)).await;
    let (gateway, key) = serving(&setup.set("plugins.otlp.sample_ratio", "0.0")).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200, "a trace of its own: not recorded");
    let unsampled = plain_chat(false).key(&key.key).field("traceparent", &format!("00-{TRACE}-{CALLER}-00"));
    assert_eq!(gateway.send(&unsampled).await.status, 200);
    let sampled = plain_chat(false).key("junk").field("traceparent", &format!("00-{TRACE}-{CALLER}-01"));
    assert_eq!(gateway.send(&sampled).await.status, 401);
    let all = spans(&collector, 1).await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(attribute(&all[0], "error.type"), "AUTH_INVALID_TOKEN");
    assert_eq!(all[0]["status"]["code"], 2);
    gateway.finish(&[&key]).await;
}

/// A gateway whose collector answers so, by the number of calls before.
async fn beside_collector(script: impl Fn(usize) -> Answer + Send + Sync + 'static) -> (Provider, Gateway, Key) {
    let collector = Provider::start(move |before, _| script(before)).await;
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
        .set("plugins.otlp.endpoint", &format!("\"{}\"", collector.url("")));
    let (gateway, key) = serving(&setup).await;
    (collector, gateway, key)
}

#[tokio::test]
async fn calls_to_a_collector_share_a_connection() {
    let (collector, gateway, key) = beside_collector(|_| Answer::json(200, &json!({}))).await;
    for calls in 1..=3 {
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
        until("its call", || (collector.received().len() >= calls).then_some(())).await;
    }
    let connections: Vec<_> = collector.received().iter().map(|call| call.connection).collect();
    assert_eq!(connections, [0; 3]);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_collector_that_asks_for_patience_is_called_again_and_one_that_refuses_is_not() {
    for (status, calls) in [(429, 2), (502, 2), (503, 2), (504, 2), (400, 1), (401, 1), (307, 1), (500, 1)] {
        let first = move || Answer::json(status, &json!({})).field("location", "http://127.0.0.1:1/");
        let script = move |call| if call == 0 { first() } else { Answer::json(200, &json!({})) };
        let (collector, gateway, key) = beside_collector(script).await;
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
        until("its calls", || (collector.received().len() >= calls).then_some(())).await;
        if calls == 1 {
            wait_lost(&gateway, "otlp", 1).await;
            let said = gateway.said();
            assert!(said.contains(&format!("the collector answers with status {status}")), "{said}");
        }
        gateway.finish(&[&key]).await;
        let bodies: Vec<_> = collector.received().into_iter().map(|call| call.body).collect();
        assert!(bodies.len() == calls && bodies.iter().all(|body| *body == bodies[0]), "{status}: {}", bodies.len());
    }
}

#[tokio::test]
async fn what_waits_for_a_collector_to_come_back_outlives_a_reload() {
    let is_back = Arc::new(AtomicBool::new(false));
    let asked = is_back.clone();
    let collector = Provider::start(move |_, _| match asked.load(Ordering::Relaxed) {
        true => Answer::json(200, &json!({})),
        false => Answer::json(503, &json!({})).field("retry-after", "2"),
    })
    .await;
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
        .set("plugins.otlp.endpoint", &format!("\"{}\"", collector.url("")));
    let (gateway, key) = serving(&setup).await;
    let sent = gateway.send(&plain_chat(false).key(&key.key)).await;
    until("a call", || (!collector.received().is_empty()).then_some(())).await;
    gateway
        .write("tollgate.toml", &setup.set("breaker.open_ms", "1234").config(gateway.address, gateway.metrics_address));
    gateway.reloaded(1).await;
    // What was in force before is closed by now, as a rule; the collector still refuses.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    is_back.store(true, Ordering::Relaxed);
    let also_sent = gateway.send(&plain_chat(false).key(&key.key)).await;
    for answer in [sent, also_sent] {
        let id = answer.field("x-request-id").expect("an id").as_bytes().to_vec();
        let tells = |call: &Received| call.body.windows(id.len()).any(|part| part == id);
        // The one that was refused had it, too.
        until("its span", || collector.received().last().is_some_and(tells).then_some(())).await;
    }
    assert_eq!(gateway.metric("tollgate_telemetry_lost_total", &["plugin=\"otlp\""]).await, 0.0);
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn what_a_collector_rejects_of_a_call_is_lost_and_said() {
    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: "no room".to_owned() };
    let partial = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let (collector, gateway, key) =
        beside_collector(move |_| Answer::new(200, "application/x-protobuf", partial.clone())).await;
    for _ in 0..3 {
        assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    }
    wait_lost(&gateway, "otlp", 2).await;
    until("a word of it", || gateway.said().contains("no room").then_some(())).await;
    // Three requests within one second are one call, or two at the most.
    let lost = gateway.metric("tollgate_telemetry_lost_total", &["plugin=\"otlp\"", "reason=\"undelivered\""]).await;
    assert!(lost as usize <= 2 * collector.received().len(), "{lost}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_collector_that_never_answers_is_given_up_in_time() {
    let collector = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = collector.local_addr().expect("bound");
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)])
        .set("plugins.otlp.endpoint", &format!("\"http://{address}\""))
        .set("plugins.otlp.timeout_ms", "50");
    let (gateway, key) = serving(&setup).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    until("a word of it", || gateway.said().contains("spans were not delivered").then_some(())).await;
    wait_lost(&gateway, "otlp", 1).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_collector_that_is_gone_costs_no_request_and_mistakes_are_named() {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]);
    let gone =
        setup.clone().set("plugins.otlp.endpoint", "\"http://127.0.0.1:1\"").set("plugins.otlp.timeout_ms", "50");
    let (gateway, key) = serving(&gone).await;
    assert_eq!(gateway.send(&plain_chat(false).key(&key.key)).await.status, 200);
    until("a word of it", || gateway.said().contains("spans were not delivered").then_some(())).await;
    gateway.finish(&[&key]).await;
    for (key, value, said) in [
        ("endpoint", "\"collector\"", "expected the collector's URL"),
        ("sample_ratio", "1.5", "plugins.otlp.sample_ratio: expected a number from 0 to 1"),
        ("headers", "{ \"a b\" = \"secret-value\" }", "plugins.otlp.headers.\"a b\": cannot stand in a header"),
    ] {
        let wrong = gone.clone().set(&format!("plugins.otlp.{key}"), value);
        let checked = Gateway::prepare(&wrong).run(&["check"]);
        let stderr = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.code() == Some(2) && stderr.contains(said), "{stderr}");
        assert!(!stderr.contains("secret-value"), "{stderr}");
    }
}
