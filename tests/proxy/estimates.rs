//! Usage that nobody has counted, or not yet: the price of an estimate; the hold for a request that sets no reliable limit,
//! or is read more than once; and the bill of a stream that a kill has cut off.

use crate::calls::{Wire, assert_record, number, one, serving, serving_keys, stepped};
use crate::support::answers::{chat_pieces, data};
use crate::support::client::Request;
use crate::support::gateway::{Gateway, Key, Setup};
use crate::support::provider::Provider;
use crate::support::script::{Answer, Break};
use bytes::Bytes;
use serde_json::{Value, json};

const TIERED: &str =
    "[[model]]\nname = \"m\"\ninput = 1\noutput = 2\npriority = 2\nflex = 0.5\nweb_search_per_thousand = 10\n";

/// What the counts cost at a standard tier of one and two dollars a million.
fn cost(record: &Value) -> i64 {
    number(record, "input_tokens") * 1_000 + number(record, "output_tokens") * 2_000
}

/// A chat, with members of its own.
fn chat(stream: bool, more: Value) -> Value {
    let mut body = json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "Say something."}]});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

/// A stream without usage whose chunks all name a tier, if one is said.
fn of_tier(said: Option<&str>, tokens: &[&str]) -> Vec<Bytes> {
    let name = |piece: Bytes| match said {
        Some(tier) => {
            let text = String::from_utf8(piece.to_vec()).expect("text");
            text.replacen("\"choices\":", &format!("\"service_tier\":\"{tier}\",\"choices\":"), 1).into()
        }
        None => piece,
    };
    chat_pieces(tokens, None).into_iter().map(name).collect()
}

#[tokio::test]
async fn an_estimate_is_priced_in_the_tier_that_the_answer_names_or_else_the_request() {
    let cases = [
        (Some("priority"), Some("priority"), "priority", 4),
        (Some("priority"), Some("default"), "standard", 2),
        (Some("priority"), None, "priority", 4),
        (None, Some("flex"), "flex", 1),
        (Some("flex"), None, "flex", 1),
        (None, None, "standard", 2),
    ];
    let provider = Provider::start(move |before, _| {
        let said = cases[before / 2].1;
        if before % 2 == 0 {
            return Answer::stream(of_tier(said, &["Hello", " there"]));
        }
        // Its counts are not believed.
        let usage = json!({"prompt_tokens": -1, "completion_tokens": 7});
        let mut body = json!({"id": "c", "object": "chat.completion", "model": "m", "usage": usage,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there"}, "finish_reason": "stop"}]});
        if let Some(tier) = said {
            body["service_tier"] = json!(tier);
        }
        Answer::json(200, &body)
    })
    .await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(TIERED);
    let (gateway, key) = serving(&setup).await;
    for (asked, said, tier, halves) in cases {
        for stream in [true, false] {
            let body = chat(stream, asked.map_or(json!({}), |tier| json!({"service_tier": tier})));
            let answer = gateway.send(&Request::post("/v1/chat/completions", &body).key(&key.key)).await;
            let record = gateway.record_of(&answer).await;
            let case = format!("asked {asked:?}, said {said:?}, stream {stream}: {record}");
            assert_eq!(
                (&record["usage_source"], &record["service_tier"]),
                (&json!("estimated"), &json!(tier)),
                "{case}"
            );
            assert!(number(&record, "output_tokens") > 0, "{case}");
            assert_eq!(number(&record, "cost_nanos") * 2, cost(&record) * halves, "{case}");
        }
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn searches_are_billed_where_tokens_are_estimated() {
    let mut body = crate::calls::responses_body("Hello there", 0, 0);
    body.as_object_mut().expect("an object").remove("usage");
    body["tool_usage"] = json!({"web_search": {"num_requests": 3}});
    let provider = Provider::always(Answer::json(200, &body)).await;
    let (gateway, key) = serving(&Setup::new([Wire::Responses.upstream("u", &provider)]).prices(TIERED)).await;
    let answer = gateway.send(&Wire::Responses.request(false).key(&key.key)).await;
    let record = gateway.record_of(&answer).await;
    assert_eq!(record["usage_source"], "estimated", "{record}");
    assert_eq!(number(&record, "cost_nanos"), cost(&record) + 3 * 10_000_000, "{record}");
    gateway.finish(&[&key]).await;
}

/// A stream of which so many pieces go out, and then the gateway is killed. What it is billed by.
async fn killed(body: &Value, pieces: Vec<Bytes>, tokens: usize) -> (Gateway, Key, Value) {
    let (answer, steps) = stepped(Answer::stream(pieces));
    let provider = Provider::always(answer).await;
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(TIERED);
    let (mut gateway, key) = serving(&setup).await;
    // The role goes before.
    steps.go(tokens + 1);
    let mut exchange = gateway.open(&Request::post("/v1/chat/completions", body).key(&key.key)).await;
    // Pieces are cut anywhere.
    let mut got = Vec::new();
    while String::from_utf8_lossy(&got).matches("\"content\":\" ").count() < tokens {
        got.extend_from_slice(&exchange.piece().await.expect("the stream goes on"));
    }
    gateway.kill().await;
    gateway.serve().await;
    let record = gateway.wait_record().await;
    assert_record(&record, json!({"outcome": "interrupted", "usage_source": "estimated"}));
    (gateway, key, record)
}

#[tokio::test]
async fn a_stream_that_a_kill_cut_off_is_billed_by_its_tokens_and_in_its_tier() {
    const TOKENS: usize = 1_200;
    let prompt = "Count as far as you can, and tell me what you think of each number. ".repeat(20);
    for (tokens, a_token_at_most) in
        [([" 7", " x", " 3", " ,"], 2), ([" understanding", " consequences", " international", " a"], 1)]
    {
        let words: Vec<&str> = tokens.into_iter().cycle().take(TOKENS).collect();
        let mut body = chat(true, json!({"service_tier": "priority"}));
        body["messages"][0]["content"] = json!(prompt);
        let (gateway, key, record) = killed(&body, of_tier(Some("priority"), &words), TOKENS).await;
        let (input, output) = (number(&record, "input_tokens"), number(&record, "output_tokens"));
        // Within a checkpoint of what was delivered.
        let delivered = TOKENS as i64;
        assert!((delivered - 256..=delivered * a_token_at_most).contains(&output), "{tokens:?}: {record}");
        // Seventeen words and signs a sentence, and the role.
        assert!((20 * 15..=20 * 18).contains(&input), "{record}");
        assert_eq!(record["service_tier"], "priority");
        assert_eq!(number(&record, "cost_nanos"), 2 * cost(&record), "{record}");
        gateway.finish(&[&key]).await;
    }
}

#[tokio::test]
async fn an_output_limit_of_nothing_is_none() {
    let words = vec![" word"; 50];
    let stream = Answer::stream(chat_pieces(&words, None));
    let provider = Provider::always(stream).await;
    let prices = "[[model]]\nname = \"m\"\ninput = 1\noutput = 2\nmax_output_tokens = 1000\n";
    let setup = Setup::new([Wire::Chat.upstream("u", &provider)]).prices(prices);
    let (gateway, [key]) = serving_keys(&setup, [("k", &["--quota-usd", "1"])]).await;
    let mut held = Vec::new();
    for more in [json!({}), json!({"max_tokens": 0})] {
        let request = Request::post("/v1/chat/completions", &chat(true, more)).key(&key.key);
        let record = gateway.record_of(&gateway.send(&request).await).await;
        assert_record(&record, json!({"usage_source": "estimated", "output_tokens": 50, "overshoot": false}));
        held.push(number(&record, "held_nanos"));
    }
    assert_eq!(held[1] - held[0], ",\"max_tokens\":0".len() as i64 * 1_000, "the bytes that say it, and nothing else");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn an_estimate_is_no_less_than_the_pieces_that_came_and_goes_by_the_whole_text() {
    // Vendors send whole tokens: blanks, of which a tokenizer makes few, were as many. And filler before an answer prices nothing else.
    let (blanks, words) = (vec![" "; 300], " a1 b2 c3 d4".repeat(2_000));
    let pieces = [chat_pieces(&blanks, None), chat_pieces(&[&" ".repeat(17_000), &words], None)];
    let (_provider, gateway, key) = one(Wire::Chat, move |before, _| Answer::stream(pieces[before].clone())).await;
    let request = Request::post("/v1/chat/completions", &chat(true, json!({"max_tokens": 100_000}))).key(&key.key);
    let counts = [300..=300, 12_000..=30_000];
    for (number_of, count) in counts.into_iter().enumerate() {
        let record = gateway.record_of(&gateway.send(&request).await).await;
        assert_record(&record, json!({"usage_source": "estimated"}));
        let output = number(&record, "output_tokens");
        assert!(count.contains(&output), "{number_of}: {output}");
    }
    gateway.wait_records(2).await;
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn of_a_stream_that_breaks_off_the_text_is_billed_beside_thoughts_that_are_counted() {
    let words = " word".repeat(400);
    let event = |part: Value| {
        data(&json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}],
            "usageMetadata": {"promptTokenCount": 9, "thoughtsTokenCount": 540}}))
    };
    let thought = event(json!({"text": "Let me think about that for a while.", "thought": true}));
    let pieces = [thought, event(json!({"text": words}))];
    let length = pieces.concat().len();
    let answer = Wire::GeminiEvents.stream_of([&pieces[..], &["x".into()]].concat()).cut(length, Break::Fin);
    let (_provider, gateway, key) = one(Wire::GeminiEvents, move |_, _| answer.clone()).await;
    let target = Wire::GeminiEvents.target("m", true);
    let body = json!({"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 2_000}});
    let answer = gateway.send(&Request::post(&target, &body).key(&key.key)).await;
    let record = gateway.record_of(&answer).await;
    assert_record(&record, json!({"usage_source": "estimated", "input_tokens": 9, "reasoning_tokens": 540}));
    assert!((930..=950).contains(&number(&record, "output_tokens")), "{record}");
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn images_and_sounds_of_a_stream_that_breaks_off_are_no_gift() {
    let inline = |kind: &str, bytes: usize| {
        let part = json!({"inlineData": {"mimeType": kind, "data": "A".repeat(bytes)}});
        data(&json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}]}))
    };
    // Two seconds, with the quotes around them.
    let cases = [("image/png", 9_000, 1_290, "output_image_tokens"), ("audio/L16", 127_998, 50, "output_audio_tokens")];
    let provider = Provider::start(move |before, _| {
        let (kind, bytes, ..) = cases[before];
        let piece = inline(kind, bytes);
        Wire::GeminiEvents.stream_of(vec![piece.clone(), "x".into()]).cut(piece.len(), Break::Fin)
    })
    .await;
    let row = "[[model]]\nname = \"m\"\ninput = 1\noutput = 2\noutput_audio = 10\noutput_image = 30\n";
    let setup = Setup::new([Wire::GeminiEvents.upstream("u", &provider)]).prices(row);
    let (gateway, key) = serving(&setup).await;
    for (_, _, tokens, detail) in cases {
        let target = Wire::GeminiEvents.target("m", true);
        let body = json!({"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 2_000}});
        let record = gateway.record_of(&gateway.send(&Request::post(&target, &body).key(&key.key)).await).await;
        assert_record(&record, json!({"usage_source": "estimated", "output_tokens": tokens}));
        assert_eq!(record["detail"][detail], tokens, "{record}");
    }
    gateway.finish(&[&key]).await;
}

#[tokio::test]
async fn a_rerank_is_held_and_estimated_by_its_query_once_for_each_document() {
    const DOCUMENTS: u64 = 200;
    let (query, document) = ("word ".repeat(300), "a b c");
    // As Voyage bills: "the number of query tokens x the number of documents + sum of the number of tokens in all documents".
    let tokens = 300 * DOCUMENTS + 3 * DOCUMENTS;
    let answer = |usage: Value| {
        Answer::json(
            200,
            &json!({"object": "list", "model": "m", "data": [{"index": 0, "relevance_score": 0.5}], "usage": usage}),
        )
    };
    let answers = [answer(json!({"total_tokens": tokens})), answer(json!({}))];
    let (_provider, gateway, free) = one(Wire::Chat, move |before, _| answers[before % 2].clone()).await;
    let limited = gateway.key("limited", &["--quota-usd", "1"]).await;
    let body = json!({"model": "m", "query": query, "documents": vec![document; DOCUMENTS as usize]});
    let request = |key: &Key| Request::post("/v1/rerank", &body).key(&key.key);
    let reported = gateway.record_of(&gateway.send(&request(&limited)).await).await;
    assert_record(&reported, json!({"usage_source": "reported", "input_tokens": tokens, "overshoot": false}));
    assert!(number(&reported, "held_nanos") >= number(&reported, "cost_nanos"), "{reported}");
    let estimated = gateway.record_of(&gateway.send(&request(&free)).await).await;
    let counted = number(&estimated, "input_tokens") as u64;
    assert_record(&estimated, json!({"usage_source": "estimated"}));
    assert!((tokens * 3 / 4..=tokens * 5 / 4).contains(&counted), "{counted} for {tokens}");
    // A quota that covers the body's bytes and no more is not enough.
    let poor = gateway.key("poor", &["--quota-usd", "0.01"]).await;
    assert_eq!(gateway.send(&request(&poor)).await.status, 402);
    gateway.wait_records(2).await;
    gateway.finish(&[&free, &limited, &poor]).await;
}
