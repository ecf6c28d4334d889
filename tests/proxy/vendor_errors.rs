//! How vendors say that something is wrong, each in its own way, and what follows from it.

use crate::calls::{COST, INPUT, OUTPUT, TOKENS, Wire, assert_record, plain_chat, serving, wants_stream};
use crate::support::answers::{chat_body, chat_token, chat_usage, data};
use crate::support::gateway::{Gateway, Key, Setup, Upstream};
use crate::support::provider::Provider;
use crate::support::script::Answer;
use crate::translate::{error_of, text_of};
use bytes::Bytes;
use serde_json::{Value, json};

/// A gateway whose first upstream is of this vendor; the second one serves `m` where that fails.
async fn with_a_second(row: &str, first: &Provider, second: &Provider) -> (Gateway, Key) {
    let first = Upstream::new("first", row, first.url("/v1"));
    serving(&Setup::new([first, Upstream::new("second", "nvidia", second.url("/v1")).with("priority = 1")])).await
}

/// Finish reasons that are failures: the vendor's row, the word, and the status that it stands for.
const FAILURES: [(&str, &str, u16); 3] =
    [("zhipu", "network_error", 500), ("deepseek", "insufficient_system_resource", 503), ("mistral", "error", 500)];

/// A document that ends so, with this text.
fn ending(word: &str, text: &str) -> Value {
    let mut body = chat_body(text, INPUT, OUTPUT);
    body["choices"][0]["finish_reason"] = json!(word);
    body
}

#[tokio::test]
async fn a_finish_reason_that_is_a_failure_is_the_next_upstreams_turn_as_long_as_nothing_went_out() {
    for (row, word, _) in FAILURES {
        let first_event = data(&json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": word}]}));
        for (stream, answer) in [
            (false, Answer::json(200, &ending(word, ""))),
            (false, Answer::json(200, &ending(word, "Half an"))),
            (true, Answer::stream([first_event, Bytes::from_static(b"data: [DONE]\n\n")])),
        ] {
            let first = Provider::always(answer).await;
            let second = Provider::start(|_, request| Wire::Chat.answer(wants_stream(request))).await;
            let (gateway, key) = with_a_second(row, &first, &second).await;
            let answer = gateway.send(&plain_chat(stream).key(&key.key)).await;
            let what = format!("{word}, stream {stream}: {}", answer.text());
            assert_eq!((answer.status, answer.field("x-tollgate-upstream")), (200, Some("second")), "{what}");
            let labels = ["upstream=\"first\"", "result=\"server_error\""];
            assert_eq!(gateway.metric("tollgate_attempts_total", &labels).await, 1.0, "{what}");
            assert_record(&gateway.record_of(&answer).await, json!({"outcome": "ok", "attempts": 2}));
            gateway.finish(&[&key]).await;
        }
    }
}

#[tokio::test]
async fn a_finish_reason_that_is_a_failure_is_told_in_every_dialect_and_costs_what_is_reported() {
    for (row, word, status) in FAILURES {
        let last = data(&json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {}, "finish_reason": word}], "usage": chat_usage(INPUT, OUTPUT)}));
        let end = vec![last, Bytes::from_static(b"data: [DONE]\n\n")];
        let pieces = [TOKENS.map(chat_token).to_vec(), end].concat();
        let sent = pieces.concat();
        let provider = Provider::start(move |_, request| {
            let stream = wants_stream(request);
            if stream { Answer::stream(pieces.clone()) } else { Answer::json(200, &ending(word, "Half an")) }
        })
        .await;
        let (gateway, key) = serving(&Setup::new([Upstream::new("u", row, provider.url("/v1"))])).await;
        let passed = gateway.send(&plain_chat(true).key(&key.key)).await;
        assert_eq!(passed.body(), sent, "{word}: it passes as it is: {}", passed.text());
        let told = gateway.send(&Wire::Messages.request(true).key(&key.key)).await;
        let text = told.text();
        assert_eq!(text_of(Wire::Messages, &text, true), TOKENS.concat(), "{text}");
        assert!(text.contains("event: error") && text.contains(word) && !text.contains("message_stop"), "{text}");
        let refused = gateway.send(&Wire::Messages.request(false).key(&key.key)).await;
        assert_eq!(refused.status, status, "{}", refused.text());
        assert!(error_of(Wire::Messages, &refused).0.contains(word), "{}", refused.text());
        for answer in [passed, told, refused] {
            assert_record(
                &gateway.record_of(&answer).await,
                json!({"outcome": "upstream_error", "error_code": "UPSTREAM_ERROR_EVENT", "cost_nanos": COST,
                    "usage_source": "reported"}),
            );
        }
        gateway.finish(&[&key]).await;
    }
}
