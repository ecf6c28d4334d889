//! What vendors bill by the unit: runs of their own tools, a rerank's units, and what an answer says that the request was.

use crate::calls::{Wire, assert_record, number, responses_body, serving, serving_keys};
use crate::support::answers::chat_body;
use crate::support::client::Request;
use crate::support::gateway::Setup;
use crate::support::provider::Provider;
use crate::support::script::Answer;
use serde_json::json;

#[tokio::test]
async fn the_size_of_a_search_is_billed_as_the_answer_says() {
    let provider = Provider::start(|before, _| {
        let mut body = chat_body("x", 1_000, 1_000);
        if before == 0 {
            body["usage"]["search_context_size"] = json!("low");
        }
        Answer::json(200, &body)
    })
    .await;
    let prices =
        "[[model]]\nname = \"m\"\ninput = 1\noutput = 1\nper_request = 0.012\nfees = { search_context_low = 0.005 }\n";
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(prices);
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "1"])]).await;
    for request in [5_000_000, 12_000_000] {
        let answer = gateway.send(&Wire::Chat.request(false).key(&key.key)).await;
        let record = gateway.record_of(&answer).await;
        assert_record(
            &record,
            json!({"cost_nanos": 2_000_000 + request, "usage_source": "reported", "price_missing": false}),
        );
        assert!(number(&record, "held_nanos") > 12_000_000, "the dearest is held: {record}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn tools_are_billed_by_their_runs_and_one_without_a_price_is_flagged() {
    let mut body = responses_body("x", 0, 0);
    let message = body["output"][0].clone();
    body["output"] = json!([
        {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["a"]},
        {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1", "code": "1", "status": "completed"},
        {"type": "code_interpreter_call", "id": "ci_2", "container_id": "cntr_1", "code": "2", "status": "completed"},
        message
    ]);
    let provider = Provider::always(Answer::json(200, &body)).await;
    let row =
        |name: &str, fees: &str| format!("[[model]]\nname = \"{name}\"\ninput = 1\noutput = 1\nfees = {{ {fees} }}\n");
    let prices = row("m", "file_search = 0.0025, code_interpreter = 0.03") + &row("other", "file_search = 0.0025");
    let upstream = Wire::Responses.upstream("u", &provider).models(r#"["m", "other"]"#);
    let (gateway, key) = serving(&Setup::new([upstream]).prices(&prices)).await;
    for (model, cost, missing) in [("m", 32_500_000, false), ("other", 2_500_000, true)] {
        let answer = gateway.send(&Wire::Responses.request_for(model, false).key(&key.key)).await;
        let record = gateway.record_of(&answer).await;
        assert_record(&record, json!({"cost_nanos": cost, "price_missing": missing, "usage_source": "reported"}));
        let done: Vec<_> =
            record["extras"].as_array().into_iter().flatten().map(|extra| (&extra["kind"], &extra["times"])).collect();
        assert_eq!(done, [(&json!("file_search"), &json!(1)), (&json!("code_interpreter"), &json!(1))], "{record}");
        let explained = gateway.run(&["explain", record["request_id"].as_str().expect("an id")]);
        let explained = String::from_utf8_lossy(&explained.stdout);
        assert!(explained.contains("1 time x 0.0025 USD"), "{explained}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_rerank_is_held_and_billed_by_its_searches() {
    let answer = json!({"id": "r", "results": [{"index": 0, "relevance_score": 0.5}], "meta": {"billed_units": {"search_units": 3}}});
    let provider = Provider::always(Answer::json(200, &answer)).await;
    let prices = "[[model]]\nname = \"m\"\ninput = 0\noutput = 0\nper_request = 0.002\n";
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(prices);
    let (gateway, [key, poor]) =
        serving_keys(&setup, [("k", &["--quota-usd", "0.006"]), ("poor", &["--quota-usd", "0.005"])]).await;
    let body = json!({"model": "m", "query": "q", "documents": vec!["d"; 250]});
    let request = Request::post("/v1/rerank", &body);
    assert_eq!(gateway.send(&request.clone().key(&poor.key)).await.status, 402, "it holds three");
    let record = gateway.record_of(&gateway.send(&request.key(&key.key)).await).await;
    assert_record(
        &record,
        json!({"cost_nanos": 6_000_000, "held_nanos": 6_000_000, "usage_source": "estimated", "overshoot": false}),
    );
    gateway.finish(&[&key, &poor]).await;
}
